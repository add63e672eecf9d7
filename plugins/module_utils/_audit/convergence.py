# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the playbook bootstrap would change, what it would refuse, and the command that it takes for a finding. Pure.

A run converges all of a backend, and is refused as a whole. So the commands of one backend are computed together: each
leaves to their owner the settings that a person has to decide about, and those are a question and not a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._core.commands import is_note
from .._core.model import Change, Params, Refusal, Resource, Target, Values
from .expectations import Expectations, Guard

#: Before the command that a person may want or not. Pasted, it is a comment.
DECIDE = "# Decide first:"


@dataclass(frozen=True)
class Plan:
    """What a run would change of a resource."""

    resource: Resource
    changes: tuple[Change, ...]
    #: By facet, what is refused of its change.
    refused: Mapping[str, tuple[Refusal, ...]]
    #: What is refused whatever is changed.
    always: tuple[Refusal, ...] = ()


def planned(
    resource: Resource,
    target: Target,
    changes: Sequence[Change],
    observed: Values,
    params: Params,
    instead: Sequence[Change],
    guard: Guard,
) -> Plan:
    """`instead`: each facet whose baseline differs from what is asked, from the baseline to that."""
    nothing = Change("", None, None)
    always = guard(resource, target, [nothing], observed, params)
    found = {change.facet: guard(resource, target, [change], observed, params) for change in changes}
    together = guard(resource, target, [*changes, nothing], observed, params, instead=instead)
    of_facets = {facet: tuple(each for each in against if each not in always) for facet, against in found.items()}
    known = [*always, *(each for against in of_facets.values() for each in against)]
    always = [*always, *(each for each in together if each not in known)]
    return Plan(
        resource, tuple(changes), {facet: against for facet, against in of_facets.items() if against}, tuple(always)
    )


@dataclass(frozen=True)
class Convergence:
    """The plans of a backend, by kind of resource."""

    wanted: Expectations
    #: The plan of an existing resource with these options beside those of the inventory.
    replan: Callable[[str, Params], Plan | None]

    @cached_property
    def plans(self) -> dict[str, Plan]:
        found = {kind: self.replan(kind, {}) for kind in ("bucket", "table")}
        return {kind: plan for kind, plan in found.items() if plan}

    def command(self, kind: str, *facets: str, note: str = "", **options: Any) -> str:
        """The playbook that changes these facets of a bucket or table, and whatever else nobody has to decide about.

        `options`: those of the module that differ from the inventory; what `allow` has is for them.
        """
        options |= {"allow": [*self._asked(kind, "allow"), *options["allow"]]} if options.get("allow") else {}
        plan = self.replan(kind, options) if options else self.plans.get(kind)
        refusals = self._refusals(plan, facets)
        words = [str(each.word) for each in refusals if each.word]
        extra = {f"terraform_backend_{kind}_{name}": value for name, value in options.items()}
        for name, each in {**self.plans, **({kind: plan} if plan else {})}.items():
            left_out = sorted(set(each.refused) - ({*facets} if name == kind else set()))
            if left_out:
                extra[f"terraform_backend_{name}_unmanaged"] = [*self._asked(name, "unmanaged"), *left_out]
        if words:
            allowed = options.get("allow") or self._asked(kind, "allow")
            extra[f"terraform_backend_{kind}_allow"] = [*dict.fromkeys((*allowed, *words))]
        blocked = [name for name, each in self.plans.items() if each.always and name != kind]
        part = ("--tags", kind) if blocked else ()
        play = self.wanted.play("bootstrap", "--diff", *part, note=note, **extra)
        if not refusals or play.startswith("#"):
            return play
        why = ". ".join(dict.fromkeys(each.reason for each in refusals))
        reason = why if is_note(why) else "the detail says what is refused"
        if any(each.word is None for each in refusals):
            return f"{DECIDE} {reason}. No run changes it."
        return f"{DECIDE} {reason}. If that is what you want: {play}"

    def _refusals(self, plan: Plan | None, facets: Sequence[str]) -> tuple[Refusal, ...]:
        return (*plan.always, *(each for facet in facets for each in plan.refused.get(facet, ()))) if plan else ()

    def _asked(self, kind: str, option: str) -> Sequence[str]:
        params = {"bucket": self.wanted.bucket, "table": self.wanted.table}[kind]
        return params.get(option) or ()

    def after(self, facet: str) -> Any:
        """What a run would make of a facet of the bucket, if it may; else None."""
        plan = self.plans.get("bucket")
        if plan is None or plan.always or facet in plan.refused:
            return None
        return next((change.after for change in plan.changes if change.facet == facet), None)

    def why(self, kind: str, facet: str) -> str:
        """What is refused, for the detail of a finding."""
        reasons = "; ".join(dict.fromkeys(each.reason for each in self._refusals(self.plans.get(kind), (facet,))))
        return f" A run refuses it until you decide: {reasons}." if reasons else ""
