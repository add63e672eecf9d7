# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The README of a hand-over: the exact steps, what each must say, and the way back. And the seal of the files.

Pure: no I/O.
"""

from __future__ import annotations

import hashlib
import re

from .._terraform.backend_config import BackendConfig
from .project import Project, bucket_resources, configuration, settings, table_resources

README, TABLE_FILE, IMPORTS_FILE = "README.md", "table.tf", "imports.tf"
#: Every file that a hand-over of any kind may have.
FILES = (README, "terraform.tf", "provider.tf", "bucket.tf", TABLE_FILE, IMPORTS_FILE, "outputs.tf")
_SEAL = re.compile(r"(?P<sign>cornerstone\.tfstate hand-over, sha256 )(?P<digest>[0-9a-f]{64})")


def project_files(project: Project) -> dict[str, str]:
    """Every file of the project by name, each with a seal, which an edited file no longer matches."""
    files = {name: _sealed(text, "# {}\n\n") for name, text in configuration(project).items()}
    return {**files, README: _sealed(readme(project), "<!-- {} -->\n\n")}


def is_unedited(text: str) -> bool:
    """Whether a file is as it was written by a hand-over."""
    first, _unused, body = text.partition("\n\n")
    seal = _SEAL.search(first)
    return bool(seal and "\n" not in first and seal["digest"] == _digest(body))


def is_of_two_phases(text: str) -> bool:
    """Whether a README is that of a project with `mode: two_phase`, edited or not."""
    return text.partition("\n\n")[2].startswith(_TWO_PHASE.partition("{")[0])


def _sealed(body: str, form: str) -> str:
    return form.format(f"cornerstone.tfstate hand-over, sha256 {_digest(body)}") + body


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def readme(project: Project) -> str:
    return (_ADOPT if project.adopts else _TWO_PHASE).format(
        name=project.backend.name,
        client="tofu" if project.backend.client == "opentofu" else "terraform",
        bootstrap=project.backend.bucket,
        bucket=project.bucket_name,
        table=f"the lock table `{project.table_name}`" if table_resources(project) else "no lock table",
        key=project.backend.key,
        digest=_digest_item(project.backend),
        branches="\n".join(f"| {shows} | {why} | {do} |" for shows, why, do in _BRANCHES),
        settings=_settings(project),
        count=len(bucket_resources(project)) + len(table_resources(project)),
        addresses="\n".join(
            f"{'tofu' if project.backend.client == 'opentofu' else 'terraform'} state rm {'.'.join(each.labels)}"
            for each in (*bucket_resources(project), *table_resources(project))
        ),
        unmanaged=_unmanaged(project),
    )


def _digest_item(backend: BackendConfig) -> str:
    """What makes a client notice that the state is missing."""
    return f" and its digest, the item `{backend.bucket}/{backend.key}-md5`" if backend.locks_in_table else ""


def _settings(project: Project) -> str:
    """A row for each part of the project that can be left out, and the option that leaves it out."""
    return "\n".join(
        f"| `{each.resource}`{': ' if each.arguments else ''}{', '.join(f'`{name}`' for name in each.arguments)} "
        f"| `{each.kind}_unmanaged: [{each.facet}]` |"
        for each in settings(project)
    )


def _unmanaged(project: Project) -> str:
    parts = zip(("bucket", "table"), project.unmanaged, strict=True)
    named = [f"{', '.join(sorted(facets))} of the {kind}" for kind, facets in parts if facets]
    named += [f"{each} of the table" for each in project.besides if project.adopts]
    return f"\nSomebody else's, and left alone here: {'; '.join(named)}.\n" if named else ""


#: What the first plan may show besides the imports, why, and what to do then.
_BRANCHES = (
    (
        "`aws_s3_bucket.state`: nothing but `force_destroy = false`",
        "The import does not set this default of the provider. It is no setting of AWS.",
        "Go on: nothing is sent to AWS.",
    ),
    ("a resource: nothing but a `timeouts` block", "It is no setting of AWS.", "Go on."),
    (
        "`aws_s3_bucket_lifecycle_configuration.state`: nothing but `transition_default_minimum_object_size`",
        "The store did not say from which size on objects transition; the provider asks for the default of AWS.",
        "On AWS, go on. At another store, leave the lifecycle out, as below.",
    ),
    (
        "a lifecycle rule whose `id` begins with `unnamed-`",
        "The store returned a rule without an ID, which the provider needs.",
        "Go on: the rule gets that ID.",
    ),
    (
        "the capacity of `aws_dynamodb_table.locks`",
        "Autoscaling moves them.",
        "Write the project again with `table_unmanaged: [billing]`.",
    ),
    (
        "`tags_all` with tags that are not in this project",
        "The environment sets default tags.",
        "Unset all variables `TF_AWS_DEFAULT_TAGS_*`, and plan again.",
    ),
    (
        "warnings: `prefix` or `dynamodb_table` is deprecated; one of `filter` and `prefix` is missing",
        "The backend is like that, and the project says the same.",
        "Go on.",
    ),
    (
        "an error: cannot import a non-existent object",
        "That setting was removed since this project was written.",
        "Write the project again, and plan again.",
    ),
    (
        "a resource to add",
        "It has no import block: `imports.tf` is missing or was edited.",
        "Bring `imports.tf` back, and plan again.",
    ),
    (
        "a resource to destroy or to replace",
        "The state of this project is that of another one.",
        "Stop. Compare `bucket` and `key` in `terraform.tf` with the inventory.",
    ),
    ("any other change", "See below.", "Do not apply."),
)

_ADOPT = """# The backend {name}, managed by Terraform

This project adopts the state bucket `{bucket}` and {table}, which Ansible made. It describes them exactly as they
were found, and keeps its own state in that bucket, under `{key}`.
{unmanaged}
## Take over

1. Credentials: those that may read and write the settings of bucket and table, and use the backend.

2. Initialise. Nothing is written but `.terraform` and `.terraform.lock.hcl`; commit the latter.

   ```sh
   {client} init
   ```

3. Plan, and read the last line.

   ```sh
   {client} plan -out=take-over.tfplan
   ```

   It must say **{count} to import, 0 to add, 0 to change, 0 to destroy**. If it says more,
   [see below](#if-the-plan-shows-more) before you go on.

4. Take over, and look again: the second plan must find nothing to do.

   ```sh
   {client} apply take-over.tfplan
   {client} plan -detailed-exitcode
   ```

5. End the other management. Two masters undo each other's work. Take the host out of the inventory of the
   bootstrap, or add the tag `managed-by = "terraform"` to bucket and table here: then the bootstrap refuses to change
   them. Keep `imports.tf`: it does nothing more, and is the way back if this state is lost.

## If the plan shows more

| the plan shows | why | what to do |
|---|---|---|
{branches}

For any other change, write the project again. If the task says **changed**, the backend was changed since: plan again.
If it says **ok**, the files are the same, and the provider reads that setting in another form than AWS returned it.
Then leave the setting out, and write the project again. AWS keeps it as it is, and this project says nothing of it:

| the plan changes | leave it out with |
|---|---|
{settings}

In an inventory the options are `terraform_backend_bucket_unmanaged` and `terraform_backend_table_unmanaged`.

## What protects it

Each resource has `prevent_destroy`: `{client} destroy`, or a change that would replace one, ends in an error before
anything is done. To take one out on purpose, remove that line in a commit of its own.

## Recovery

- **A run was killed while it applied.** The lock stays. When you are sure that nobody runs:
  `{client} force-unlock LOCK_ID` with the id that the error shows, then plan again. An id of a client has letters,
  digits and dashes. Do not paste one that has anything else: whoever wrote the lock chose it, and a shell may run it.
- **This project's state is broken or lost.** The bucket keeps old versions of `{key}`: restore the newest good one.
  Or start over, as nothing is stored here that AWS does not know: remove the object `{key}`{digest},
  and take over again from step 2. Never without `imports.tf`: Terraform would want to create what is there.
- **The bucket is gone.** Then the state of this project is gone with it. Bootstrap again with Ansible, restore the
  states from a backup, and take over again.
- **Somebody locked everybody out by policy.** The root user of the account can delete the bucket policy.

## Back to Ansible

The resources stay as they are; only this state forgets them. Remove the tag `managed-by` first, if you added it.

```sh
{addresses}
```

Then put the host back into the inventory and bootstrap with `--check --diff`: it must find nothing to change.
"""

_TWO_PHASE = """# A production backend like {name}

The first phase was Ansible: it made the bootstrap bucket `{bootstrap}`. This project is the second: it creates the
production bucket `{bucket}` and {table} with the same settings, managed by
Terraform. Only the state of this project lies in the bootstrap backend, under `{key}`; all others go into the
production backend.
{unmanaged}
## Create

1. Credentials: those that may create bucket and table, and use the bootstrap backend.

2. Initialise. Nothing is written but `.terraform` and `.terraform.lock.hcl`; commit the latter.

   ```sh
   {client} init
   ```

3. Plan. It must say **{count} to add, 0 to change, 0 to destroy**.

   ```sh
   {client} plan -out=production.tfplan
   ```

4. Create, and look again: the second plan must find nothing to do.

   ```sh
   {client} apply production.tfplan
   {client} plan -detailed-exitcode
   ```

   If it finds something, somebody changed the backend meanwhile, or the provider reads a setting in another form than
   it was sent. Plan again. If the same change stays, do not apply it a third time: let somebody look at that setting.

5. Point projects to it: `{client} output backend` shows what their backend block says, but for the key, of which
   each project takes its own.

The bootstrap backend stays for as long as this project does. Ansible goes on to look after it: it belongs into the
inventory of the bootstrap, the production backend does not.

## What protects it

Each resource has `prevent_destroy`: `{client} destroy`, or a change that would replace one, ends in an error before
anything is done. To take one out on purpose, remove that line in a commit of its own.

## Recovery

- **An apply failed half way.** Plan and apply again: what was created is in the state. If it says that the bucket
  exists already and you own it, import it: `{client} import aws_s3_bucket.state {bucket}`.
- **A run was killed while it applied.** The lock stays. When you are sure that nobody runs:
  `{client} force-unlock LOCK_ID` with the id that the error shows, then plan again. An id of a client has letters,
  digits and dashes. Do not paste one that has anything else: whoever wrote the lock chose it, and a shell may run it.
- **This project's state is broken or lost.** The bootstrap bucket keeps old versions of `{key}`: restore the newest
  good one. Or write the project of the production backend anew to adopt it (`mode: adopt` with its names).
- **The bootstrap backend is gone.** The production backend and all states in it are not touched by that. Bootstrap
  again with Ansible, then as above.
- **Somebody locked everybody out by policy.** The root user of the account can delete the bucket policy.

## Back to Ansible

The resources stay as they are; only this state forgets them.

```sh
{addresses}
```

Then put the production backend into the inventory and bootstrap with `--check --diff`: it must find nothing to change.
"""
