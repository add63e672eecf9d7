# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bootstrapped backend as a Terraform project: one that adopts it, or one that describes a production backend.

Pure: no I/O. What is there is written as AWS returned it, so that the first plan after the import finds nothing to
change. A test compares the arguments with the schema of the provider, and their values with what it reads.
Source: https://registry.terraform.io/providers/hashicorp/aws/6.62.0/docs
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from .._bucket import BUCKET as STATE_BUCKET
from .._core.model import Target
from .._core.provider import BUCKET, TABLE, Block, ProviderArguments, Reference, Value
from .._core.tags import MANAGER_TAGS
from .._policy.document import MOVED
from .._table import TABLE as LOCK_TABLE
from .._terraform.backend_config import BackendConfig, arguments
from .._terraform.constraints import Version, admits_from
from .._terraform.hcl import hcl_text
from .provider_arguments import LEFT_ALONE, TABLE_ORDER, arguments_of, ignored

#: The version whose schema the arguments were compared with, up to the next major version.
PROVIDER_VERSION = ">= 6.62, < 7.0"
#: The last version 5, which the values were compared with, too: before it, recovery has no period.
OLDEST_PROVIDER: Version = (5, 100, 0)
#: Arguments that are newer, and since when there are. AWS keeps an older setting that a request leaves out.
#: Source: CHANGELOG.md of https://github.com/hashicorp/terraform-provider-aws
SINCE: dict[str, Version] = {"blocked_encryption_types": (6, 22, 0), "bucket_namespace": (6, 37, 0)}
STATE, LOCKS = "state", "locks"
ACCOUNT_REGIONAL_SUFFIX = "-an"

#: Of the bucket, and of the table.
Unmanaged: TypeAlias = "tuple[frozenset[str], frozenset[str]]"


@dataclass(frozen=True)
class Project:
    """A hand-over. The facets are what their `provider_arguments` take; None is not configured, or not read."""

    #: The bootstrapped backend as its projects use it, with the key under which this one keeps its own state.
    backend: BackendConfig
    bucket: Mapping[str, Any]
    table: Mapping[str, Any] | None = None
    provider_version: str = PROVIDER_VERSION
    #: The names of the production backend of the two-phase way; None: the bootstrapped backend itself is adopted.
    production_bucket: str | None = None
    production_table: str | None = None
    #: Facets managed elsewhere: the project leaves them out, or ignores them.
    unmanaged: Unmanaged = (frozenset(), frozenset())
    #: What the table has besides, as names in LEFT_ALONE: adopted, it keeps it; a production table is made without.
    besides: tuple[str, ...] = ()

    @property
    def adopts(self) -> bool:
        return self.production_bucket is None

    @property
    def bucket_name(self) -> str:
        return self.production_bucket or self.backend.bucket

    @property
    def table_name(self) -> str | None:
        return self.production_table if self.production_bucket else self.backend.table


def configuration(project: Project) -> dict[str, str]:
    """The project's Terraform files by name, without a heading."""
    resources = (*bucket_resources(project), *table_resources(project))
    files = {
        "terraform.tf": hcl_text({}, (_terraform(project),)),
        "provider.tf": hcl_text({}, (_provider(project.backend),)),
        "bucket.tf": hcl_text({}, bucket_resources(project)),
        "table.tf": hcl_text({}, table_resources(project)),
        "imports.tf": hcl_text({}, tuple(_imports(project, resources))),
        "outputs.tf": hcl_text({}, tuple(_outputs(project))),
    }
    return {name: text for name, text in files.items() if text}


def bucket_resources(project: Project) -> tuple[Block, ...]:
    facets, name = project.bucket if project.adopts else _of_production_bucket(project), project.bucket_name
    unmanaged = project.unmanaged[0]
    regional = not project.adopts and name.endswith(ACCOUNT_REGIONAL_SUFFIX)
    namespace: dict[str, Value] = {"bucket_namespace": "account-regional"} if regional else {}
    own, parts = arguments_of(STATE_BUCKET, facets, BUCKET)
    attributes = {"bucket": name, **namespace, **own.attributes}
    main = _resource(BUCKET, STATE, attributes, own.blocks, tuple(ignored(STATE_BUCKET, unmanaged)))
    present = {facet: part for facet, part in parts.items() if facet not in unmanaged}
    resources = (main, *(_part(part, present) for part in present.values()))
    unknown = {name for name, since in SINCE.items() if not admits_from(project.provider_version, since)}
    return tuple(_without(unknown, resource) for resource in resources)


def _without(unknown: Collection[str], block: Block) -> Block:
    attributes = {name: value for name, value in block.attributes.items() if name not in unknown}
    return Block(block.type, block.labels, attributes, tuple(_without(unknown, each) for each in block.blocks))


class Setting(NamedTuple):
    """A part of a project, and the facet whose name in `<kind>_unmanaged` leaves it out."""

    resource: str
    #: Its arguments; none if it is the whole resource.
    arguments: tuple[str, ...]
    kind: str
    facet: str


def settings(project: Project) -> Iterator[Setting]:
    """What the project says, by the facets that it comes from."""
    _own, parts = arguments_of(STATE_BUCKET, project.bucket, BUCKET)
    for facet, part in parts.items():
        if facet not in project.unmanaged[0]:
            yield Setting(f"{part.resource}.{STATE}", (), "bucket", facet)
    has_table = bool(table_resources(project))
    for kind, resource, address, is_there in (
        ("bucket", STATE_BUCKET, f"{BUCKET}.{STATE}", True),
        ("table", LOCK_TABLE, f"{TABLE}.{LOCKS}", has_table),
    ):
        for each in resource.facets if is_there else ():
            if each.provider_ignores:
                yield Setting(address, each.provider_ignores, kind, each.name)


def _part(part: ProviderArguments, present: Mapping[str, ProviderArguments]) -> Block:
    before: list[Value] = [Reference(f"{present[facet].resource}.{STATE}") for facet in part.after if facet in present]
    order: dict[str, Value] = {"depends_on": before} if before else {}
    bucket = Reference(f"{BUCKET}.{STATE}.bucket")
    return _resource(part.resource, STATE, {"bucket": bucket, **part.attributes, **order}, part.blocks)


def table_resources(project: Project) -> tuple[Block, ...]:
    if project.table is None or not project.table_name:
        return ()
    unread = {facet.name: facet.absent for facet in LOCK_TABLE.facets if project.table.get(facet.name) is None}
    described = {**project.table, **unread}
    facets = described if project.adopts else _of_production_table(project, described)
    own, _parts = arguments_of(LOCK_TABLE, facets, TABLE, TABLE_ORDER)
    left_alone = [*ignored(LOCK_TABLE, project.unmanaged[1])]
    left_alone += [name for each in project.besides if project.adopts for name in LEFT_ALONE[each]]
    attributes = {"name": project.table_name, **own.attributes}
    return (_resource(TABLE, LOCKS, attributes, own.blocks, tuple(dict.fromkeys(left_alone))),)


def _resource(
    kind: str, name: str, attributes: Mapping[str, Value], blocks: tuple[Block, ...], ignored: Collection[str] = ()
) -> Block:
    """A resource with prevent_destroy: protections need it as much as the bucket."""
    others: list[Value] = [Reference(each) for each in ignored]
    kept = Block("lifecycle", (), {"prevent_destroy": True, **({"ignore_changes": others} if others else {})})
    return Block("resource", (kind, name), attributes, (*blocks, kept))


def _of_production_bucket(project: Project) -> dict[str, Any]:
    renamed = _renamed(project)
    return {**renamed, "tags": _managed_by_client(project, renamed.get("tags"))}


def _of_production_table(project: Project, facets: Mapping[str, Any]) -> dict[str, Any]:
    """Protections that somebody else manages are created all the same, and not changed afterwards."""
    target = Target(project.table_name or "", project.backend.region)
    unread = {
        facet.name: facet.desired({}, facet.absent, target)
        for facet in LOCK_TABLE.facets
        if facet.name in project.unmanaged[1] and facet.creation_protection
    }
    return {**facets, **unread, "tags": _managed_by_client(project, facets["tags"])}


def _managed_by_client(project: Project, tags: Any) -> Any:
    """The tags, but that Terraform or OpenTofu manages what it creates, and not Ansible."""
    return {
        key: project.backend.client if key.lower() in MANAGER_TAGS and str(value).lower() == "ansible" else value
        for key, value in (tags or {}).items()
    }


def _renamed(project: Project) -> dict[str, Any]:
    """The facets with the production bucket wherever they name the bootstrapped one.

    Statements that deny moved states are left out: they would deny them in their new bucket, too.
    """
    old, new = project.backend.bucket, project.bucket_name
    arn = project.backend.bucket_arn
    prefix = arn.removesuffix(old)

    def renamed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: renamed(each) for name, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        if isinstance(value, str) and (value == arn or value.startswith(f"{arn}/")):
            return f"{prefix}{new}{value.removeprefix(arn)}"
        return value

    logging = dict(project.bucket.get("logging") or {})
    if logging.get("TargetPrefix") == f"{old}/":
        logging["TargetPrefix"] = f"{new}/"
    policy = project.bucket.get("policy")
    return {**project.bucket, "policy": renamed(_without_moved(policy)) if policy else None, "logging": logging}


def _without_moved(policy: Mapping[str, Any]) -> dict[str, Any] | None:
    found = policy.get("Statement", [])
    kept = [each for each in (found if isinstance(found, list) else [found]) if each.get("Sid") != MOVED]
    return {**policy, "Statement": kept} if kept else None


def _terraform(project: Project) -> Block:
    aws: Value = {"source": "hashicorp/aws", "version": project.provider_version}
    return Block(
        "terraform",
        (),
        {"required_version": project.backend.client_version},
        (Block("required_providers", (), {"aws": aws}), Block("backend", ("s3",), arguments(project.backend))),
    )


def _provider(backend: BackendConfig) -> Block:
    """As the backend block reaches AWS. No default_tags: they would tag what nobody asked to be tagged."""
    attributes: dict[str, Value] = {"region": backend.region}
    if backend.profile:
        attributes["profile"] = backend.profile
    if backend.account_id and not backend.endpoint_url:
        attributes["allowed_account_ids"] = [backend.account_id]
    blocks = []
    if backend.assume_role_arn:
        asked = {
            "role_arn": backend.assume_role_arn,
            "external_id": backend.assume_role_external_id,
            "session_name": backend.assume_role_session_name,
        }
        blocks.append(Block("assume_role", (), {name: value for name, value in asked.items() if value}))
    if backend.endpoint_url:
        emulated = (
            "s3_use_path_style",
            "skip_credentials_validation",
            "skip_metadata_api_check",
            "skip_region_validation",
        )
        attributes |= dict.fromkeys((*emulated, "skip_requesting_account_id"), True)
        blocks.append(Block("endpoints", (), dict.fromkeys(("dynamodb", "s3", "sts"), backend.endpoint_url)))
    return Block("provider", ("aws",), attributes, tuple(blocks))


def _imports(project: Project, resources: tuple[Block, ...]) -> Iterator[Block]:
    """Everything but the table goes by the name of the bucket."""
    for resource in resources if project.adopts else ():
        kind, name = resource.labels
        id_ = project.table_name if kind == TABLE else project.bucket_name
        yield Block("import", (), {"to": Reference(f"{kind}.{name}"), "id": str(id_)})


def _outputs(project: Project) -> Iterator[Block]:
    bucket, table = f"{BUCKET}.{STATE}", f"{TABLE}.{LOCKS}"
    has_table = bool(table_resources(project))
    backend: dict[str, Value] = {
        **{name: value for name, value in arguments(project.backend).items() if name in _FOR_OTHERS},
        "bucket": Reference(f"{bucket}.bucket"),
    }
    if project.backend.locks_in_table and has_table:
        backend["dynamodb_table"] = Reference(f"{table}.name")
    yield _output(
        "backend", "What the backend block of a project says, but for its key.", dict(sorted(backend.items()))
    )
    yield _output("bucket_arn", "The ARN of the state bucket.", Reference(f"{bucket}.arn"))
    if has_table:
        yield _output("table_arn", "The ARN of the lock table.", Reference(f"{table}.arn"))


_FOR_OTHERS = {"region", "encrypt", "kms_key_id", "use_lockfile", "allowed_account_ids"}


def _output(name: str, description: str, value: Value) -> Block:
    return Block("output", (name,), {"description": description, "value": value})
