const text = document.getElementById("text"), shown = document.getElementById("shown");
const rows = [...document.querySelectorAll("tbody tr")], groups = [...document.querySelectorAll("details")];
const buttons = [...document.querySelectorAll(".tally button")];
let level = "", waiting = 0;
const opened = new Map(groups.map(group => [group, group.open]));
function show() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = part => words.every(word => part.dataset.text.includes(word));
  let visible = 0;
  for (const row of rows) {
    row.hidden = !(fits(row) && (!level || row.dataset.levels.split(" ").includes(level)));
    visible += !row.hidden;
  }
  for (const group of groups) {
    let count = 0;
    const hasLevel = !level || group.dataset.level === level;
    for (const item of group.querySelectorAll(".item")) { item.hidden = !(hasLevel && fits(item)); count += !item.hidden; }
    group.hidden = !count;
    group.open = words.length ? count <= 12 : opened.get(group);
    group.querySelector(".count").textContent = count;
  }
  shown.textContent = visible === rows.length ? `${rows.length} shown` : `${visible} of ${rows.length} shown`;
}
text.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(show); });
for (const button of buttons) button.addEventListener("click", () => {
  level = level === button.value ? "" : button.value;
  for (const each of buttons) each.setAttribute("aria-pressed", String(level !== "" && each.value === level));
  show();
});
document.querySelector("tbody").addEventListener("click", event => {
  const link = event.target.closest("a[data-name]");
  if (!link) return;
  event.preventDefault();
  text.value = link.dataset.name;
  show();
  document.getElementById("findings").scrollIntoView();
});
for (const button of document.querySelectorAll(".copy")) button.hidden = false;
async function copied(fix) {
  try { await navigator.clipboard.writeText(fix.textContent); return true; } catch { /* as in older browsers, from a file */ }
  getSelection().selectAllChildren(fix);
  return document.execCommand("copy");
}
document.querySelector("main").addEventListener("click", async event => {
  const button = event.target.closest(".copy");
  if (!button) return;
  button.textContent = await copied(button.previousElementSibling) ? "Copied" : "Selected";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
show();
