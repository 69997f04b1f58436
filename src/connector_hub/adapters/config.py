"""The shapes of hub.yaml and of mapping files, as pydantic models at the border."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from connector_hub.model.entity import Kind
from connector_hub.model.notice import TOPICS, Topic

Name = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=64)
]
Records = Annotated[int, Field(ge=0)]
Length = Annotated[str, BeforeValidator(str)]
"""A length of time, 30s or 24h; a bare number is told with the others that are none."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class ResourceModel(_Strict):
    """One of the resources a side's records may be in."""

    resource: str


class TargetModel(ResourceModel):
    """Where new records go that say what ``when`` asks for, in the hub's words."""

    when: dict[str, list[str]] = Field(default_factory=dict)


class SideModel(_Strict):
    """One end of a job: a resource, or each record in one of several."""

    connection: Name
    resource: str | None = None
    one_of: list[ResourceModel] = Field(default_factory=list, min_length=2)
    create_as: list[TargetModel] = Field(
        default_factory=list,
        description="where new records go: the first whose when they meet; default: the first of one_of",
    )


class GuardModel(_Strict):
    """What one run may do at the most: numbers of records, or a share such as 10%."""

    create: Records | str | None = None
    update: Records | str | None = None
    clear: Records | str | None = None
    delete: Records | str | None = 0


class ApplyModel(_Strict):
    """What a sync may do without a person having approved its plan."""

    when: GuardModel = Field(
        description="a plan within these bounds is applied at once"
    )
    else_: Literal["wait"] = Field(
        "wait", alias="else", description="any other is kept until a person decides"
    )


class DeletesModel(_Strict):
    """Whether deletes at the source are followed."""

    follow: bool = False


Winner = Literal["left", "right", "newest", "fill", "ask"]


class FieldPolicyModel(_Strict):
    """Who owns a field, or who wins where both sides moved."""

    from_: str | None = Field(
        None, alias="from", description="the connection that owns the field"
    )
    drift: Literal["leave", "revert"] = Field(
        "leave", description="what becomes of edits on the side that does not own it"
    )
    both: Winner | None = Field(
        None, description="who wins where both sides edited it; default: ask"
    )


class KnownModel(_Strict):
    """The paths of the fields on either side that hold an id both know."""

    left: Annotated[str, StringConstraints(min_length=1)]
    right: Annotated[str, StringConstraints(min_length=1)]


class JobModel(_Strict):
    """A standing order between two sides for one entity."""

    entity: Name
    left: SideModel
    right: SideModel
    direction: Literal["left-to-right", "right-to-left", "both"]
    guard: GuardModel = GuardModel()
    apply: ApplyModel | None = None
    guarding: Literal["reread", "strict"] = Field(
        "reread",
        description="strict: one conditional call per record, where the vendor has such calls",
    )
    deletes: DeletesModel = DeletesModel()
    create_without_identity: bool = False
    create: Literal["both", "left", "right", "none"] = "both"
    leaving: Literal["keep", "unlink", "delete"] = Field(
        "keep",
        description="what becomes of a pair that only no longer covers; delete goes with one direction",
    )
    pilot: Annotated[int, Field(ge=1, strict=True)] | str | None = Field(
        None,
        description="so many records to begin with, or a CSV file with the columns left and right",
    )
    match: list[KnownModel] = Field(
        default_factory=list,
        description="ids the two systems know of each other; they decide before identity",
    )
    only: dict[str, list[str]] = Field(
        default_factory=dict,
        description="values a record must have, in the hub's words: {country: [ID, SG]}",
    )
    fields: dict[str, FieldPolicyModel] = Field(
        default_factory=dict, description="policies by field; * is for the others"
    )
    conflicts: dict[str, Winner] = Field(
        default_factory=dict, description="short for fields: {FIELD: {both: ...}}"
    )
    first: dict[str, Winner] = Field(
        default_factory=dict,
        description="who wins while there is no base; default: fill",
    )
    every: Length | None = Field(
        None, description="how often `run` syncs it: 30s, 5m, 24h, 7d"
    )


class ProfileModel(_Strict):
    """What is different under a profile."""

    state: str | None = None
    key: str | None = None
    connections: dict[str, str] = Field(
        default_factory=dict,
        description="connection used in jobs -> connection to use instead",
    )


class MailModel(_Strict):
    """Notices by mail."""

    to: str | list[str]
    from_: str = Field(alias="from")
    smtp: str = Field(description="host:port of the mail server")
    user: str | None = None
    password: str | None = Field(None, description="a reference: keyring:, env:, file:")
    tls: Literal["starttls", "implicit", "none"] = "starttls"


class WebhookModel(_Strict):
    """Notices as a POST, signed where there is a secret."""

    url: str = Field(description="https://..., or a reference to it")
    secret: str | None = Field(None, description="a reference: keyring:, env:, file:")


class NotifyModel(_Strict):
    """Who is told, and of what."""

    mail: MailModel | None = None
    webhook: WebhookModel | None = None
    on: list[Topic] = Field(default_factory=lambda: list(TOPICS), min_length=1)


class ConnectionModel(BaseModel):
    """An account at a vendor. The keys besides these belong to the connector."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, frozen=True)

    connector: Name
    key_field: str | None = None
    zone: str | None = Field(None, description="IANA time zone, for day_in(zone)")
    region: str | None = Field(
        None, description="of phone numbers without a country code: ID, DE, ..."
    )
    currency: str | None = None


class ProjectModel(_Strict):
    """hub.yaml."""

    state: str = "sqlite:///hub.db"
    key: str = "file:hub.key"
    mappings: str | list[str] = Field(default_factory=lambda: ["shipped", "mappings"])
    plan_ttl: Length = "24h"
    public_url: str | None = Field(
        None, description="where vendors reach `run --listen`: https://hub.acme.example"
    )
    connections: dict[Name, ConnectionModel]
    jobs: dict[Name, JobModel] = Field(default_factory=dict)
    notify: list[NotifyModel] = Field(default_factory=list)
    profiles: dict[Name, ProfileModel] = Field(default_factory=dict)


class EntityFieldModel(_Strict):
    """A field of the hub's vocabulary."""

    kind: Kind
    of: list[str] = Field(default_factory=list)
    to: str | None = None
    class_: Literal["public", "internal", "pii", "sensitive"] = Field(
        "internal", alias="class"
    )
    key: list[str] = Field(
        default_factory=list,
        description="the fields by which rows are told apart: [product]",
    )
    fields: dict[str, EntityFieldModel] = Field(
        default_factory=dict, description="what each of the rows says"
    )


class EntityModel(_Strict):
    """entity.yaml."""

    entity: Name
    extends: Literal["shipped"] | None = None
    identity: list[list[str]] = Field(default_factory=list)
    fields: dict[str, EntityFieldModel]


class LinkModel(_Strict):
    """Where a link is kept."""

    path: str | None = None
    association: str | None = None
    label: str | None = None
    type: str | None = Field(
        None, description="path of the vendor's word for what the id is of"
    )
    is_: str | list[str] = Field(
        default_factory=list,
        alias="is",
        description="the words of type under which the id is this link's; the first is written",
    )
    write_type: bool = Field(
        False, description="whether the vendor takes the type along with the id"
    )


class LookupModel(_Strict):
    """The vendor keeps an id of another resource; the word is what that has at ``by``."""

    resource: str
    by: str
    else_: Literal["leave"] = Field(
        "leave", alias="else", description="what becomes of words nobody there has"
    )


class RuleModel(_Strict):
    """How a field is kept at the vendor."""

    path: str | None = None
    via: list[str] = Field(default_factory=list)
    parts: list[str] = Field(
        default_factory=list,
        description="several paths that are one value, by a table that lists a word for each",
    )
    table: dict[str, list[str | list[str]]] | None = None
    other: str = "leave"
    order: list[str] = Field(default_factory=list)
    link: LinkModel | None = None
    also: str | list[str] = Field(default_factory=list)
    default: Any = None
    bad: Literal["leave", "reject"] = "leave"
    one_way: bool = False
    when: dict[str, list[str | bool]] = Field(
        default_factory=dict,
        description="words other fields must have: {country: [ID]}; outside of it the field is absent",
    )
    lookup: LookupModel | None = None
    rows: RowsModel | None = None


def _spelled_out(rule: Any) -> Any:
    """``quantity: Quantity`` is short for ``quantity: {path: Quantity}``."""
    return {"path": rule} if isinstance(rule, str) else rule


class RowsModel(_Strict):
    """A list within the record: the lines of an order."""

    path: str = Field(description="where the list is")
    id: str = Field("id", description="path of the row's own id, inside the row")
    fields: dict[
        str,
        Annotated[
            RuleModel,
            BeforeValidator(_spelled_out, json_schema_input_type=RuleModel | str),
        ],
    ] = Field(description="rules with paths inside the row")


class MappingTestModel(_Strict):
    """A vendor's row and what it is in the hub's words."""

    region: str | None = None
    zone: str | None = None
    vendor: dict[str, Any]
    hub: dict[str, Any]


class MappingModel(_Strict):
    """A mapping file."""

    entity: Name
    connector: Name
    resource: str
    extends: Literal["shipped"] | None = None
    fields: dict[str, RuleModel] = Field(default_factory=dict)
    set_on_create: dict[str, Any] = Field(default_factory=dict)
    tests: list[MappingTestModel] = Field(default_factory=list)


SCHEMAS: dict[str, type[BaseModel]] = {
    "hub": ProjectModel,
    "mapping": MappingModel,
    "entity": EntityModel,
}
"""The JSON Schemas that editors read, by file name."""
