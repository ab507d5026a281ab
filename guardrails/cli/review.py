"""``groundrail review``: the answers that wait for a person."""

from __future__ import annotations

import getpass
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.cli.shared import AsJson, read_small, wants_json
from guardrails.cli.stores import StoreUrl, opened_store
from guardrails.errors import RecordInvalid, ReviewConflict, SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardrails.review import ClaimRuling, Review

_MAX_BYTES = 4 * 1024 * 1024

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "List, show and resolve the answers that wait for a person. An item is open, then claimed "
        "by one reviewer for a time, then resolved; what nobody takes may expire."
    ),
    epilog=(
        "Start with:  groundrail review list     then:  groundrail review show ID     and:  "
        "groundrail review resolve ID --approve     Exit codes: 0 done, 2 not possible as asked "
        "(another reviewer holds it, no such item), 3 the store failed."
    ),
)


class StateOption(StrEnum):
    """Which items to list."""

    OPEN = "open"
    CLAIMED = "claimed"
    RESOLVED = "resolved"
    EXPIRED = "expired"
    ALL = "all"


Reviewer = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Who you are; by default your user name."),
]
ReviewId = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]
Minutes = Annotated[
    float, typer.Option("--minutes", help="How long it is yours, up to a week (10080).")
]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    state: Annotated[StateOption, typer.Option(help="Only items in this state.")] = (
        StateOption.OPEN
    ),
    route: Annotated[str | None, typer.Option(help="Only items of this route.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the answers that wait, the longest waiting first.

    Try:

        groundrail review list
        groundrail review list --state all --json
    """
    wants_json(ctx, wanted=as_json)
    from guardrails.cli import review_view as view
    from guardrails.review import ReviewState

    wanted = None if state is StateOption.ALL else ReviewState(state.value)
    with opened_store(store) as opened:
        reviews = opened.list_reviews(wanted, route=route, limit=limit)
    if as_json:
        view.print_json([view.review_json(review) for review in reviews])
    else:
        view.print_list(reviews, state.value, limit)


@app.command()
def show(
    ctx: typer.Context,
    review_id: ReviewId,
    *,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show one item: why it is here, its claims with scores and evidence, its history.

    Texts are shown where they are stored. Where they are not, the places and digests are: switch
    texts on with `store.text: true` in groundrail.yaml, or GROUNDRAIL_STORE__TEXT=true, for the
    calls from then on.

    Try:

        groundrail review show 019cb1f2-...
    """
    wants_json(ctx, wanted=as_json)
    from guardrails.cli import review_view as view

    with opened_store(store) as opened:
        review = opened.get_review(review_id)
        history = opened.history(review_id)
        record, texts, why = None, dict[str, str](), ""
        try:
            record = opened.get(review.item.record_id)
            texts = opened.texts_of(review.item.record_id)
        except RecordInvalid as error:
            why = error.message
    if as_json:
        view.print_json(view.full_json(review, history, record, texts))
    else:
        view.print_review(review, history, record, texts, why=why)


@app.command()
def claim(
    ctx: typer.Context,
    review_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="As `list` shows it; or use --next.")
    ] = None,
    *,
    take_next: Annotated[
        bool, typer.Option("--next", help="Take the item that has waited longest.")
    ] = False,
    route: Annotated[str | None, typer.Option(help="With --next: of this route.")] = None,
    minutes: Minutes = 15,
    reviewer: Reviewer = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take an item, so that nobody else works on it. Claim it again for more time.

    Try:

        groundrail review claim --next --minutes 30
        groundrail review claim 019cb1f2-... --as ann
    """
    wants_json(ctx, wanted=as_json)
    if (review_id is None) == (not take_next):
        raise typer.BadParameter("give either an ID or --next")
    name = _reviewer(reviewer)
    with opened_store(store) as opened, _usage_errors():
        if review_id is not None:
            review = opened.claim(review_id, name, minutes * 60)
        else:
            found = opened.claim_next(name, minutes * 60, route=route)
            if found is None:
                raise ReviewConflict(
                    "nothing is open; nothing was claimed",
                    hint="`groundrail review list --state all` shows the rest.",
                )
            review = found
    _tell(review, as_json=as_json)


@app.command()
def release(
    ctx: typer.Context,
    review_id: ReviewId,
    *,
    reviewer: Reviewer = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give an item back that you claimed.

    Try:

        groundrail review release 019cb1f2-...
    """
    wants_json(ctx, wanted=as_json)
    with opened_store(store) as opened, _usage_errors():
        review = opened.release(review_id, _reviewer(reviewer))
    _tell(review, as_json=as_json)


@app.command()
def agreement(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many resolved items.")] = 10_000,
    route: Annotated[str | None, typer.Option(help="Only items of this route.")] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Measure the reading, the samples and the judge against what reviewers said of claims.

    Only claims that a reviewer labelled count. Items wait here because a policy sent them, so
    this compares verifiers on hard claims and is no error rate of the traffic.

    Try:

        groundrail review agreement
    """
    wants_json(ctx, wanted=as_json)
    from guardrails.agreement import agreement as measured
    from guardrails.cli import review_view as view
    from guardrails.review import ReviewState

    with opened_store(store) as opened:
        found = []
        for review in opened.list_reviews(ReviewState.RESOLVED, route=route, limit=limit):
            with suppress(RecordInvalid):  # its record was spilled, or forgotten
                found.append((review, opened.get(review.item.record_id)))
        rows = measured(found)
    if as_json:
        view.print_json(view.agreement_json(rows))
    else:
        view.print_agreement(rows)


@app.command()
def resolve(
    ctx: typer.Context,
    review_id: ReviewId,
    *,
    approve: Annotated[
        bool, typer.Option("--approve", help="The answer is right as it is.")
    ] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The answer must not be used.")] = False,
    edit: Annotated[
        str | None,
        typer.Option(
            "--edit", metavar="FILE", help="Deliver the text of this file instead; - for stdin."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="CLAIM=LABEL",
            help="What you found of a claim: supported, contradicted, unsupported, "
            "not_checkworthy or unsure. May be given several times.",
        ),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why, for those who come after.")] = None,
    reviewer: Reviewer = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Decide on an item. An open one is claimed for you first.

    The labels are what the verifier is measured against: give them where you can.

    Try:

        groundrail review resolve 019cb1f2-... --approve
        groundrail review resolve 019cb1f2-... --reject --label c3=contradicted --note "30 days"
        echo "The term is 30 days." | groundrail review resolve 019cb1f2-... --edit -
    """
    wants_json(ctx, wanted=as_json)
    from guardrails.review import Resolution, ReviewState, Ruling

    if [approve, reject, edit is not None].count(True) != 1:
        raise typer.BadParameter("give exactly one of --approve, --reject and --edit FILE")
    ruling = Ruling.APPROVE if approve else Ruling.REJECT if reject else Ruling.EDIT
    name = _reviewer(reviewer)
    with _usage_errors():
        resolution = Resolution(
            ruling,
            None if edit is None else _read(edit),
            tuple(_label(item) for item in label or ()),
        )
    with opened_store(store) as opened, _usage_errors():
        if opened.get_review(review_id).state is ReviewState.OPEN:
            opened.claim(review_id, name, 60)
        review = opened.resolve(review_id, name, resolution, note)
    _tell(review, as_json=as_json)


# --------------------------------------------------------------------------- shared


@contextmanager
def _usage_errors() -> Iterator[None]:
    """What the queue calls a wrong value is, here, a wrong option."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _reviewer(name: str | None) -> str:
    if name is not None:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise typer.BadParameter("your user name is not known here; give --as NAME") from None


def _label(text: str) -> tuple[str, ClaimRuling]:
    from guardrails.review import ClaimRuling

    claim_id, equals, value = text.partition("=")
    if not equals or value not in list(ClaimRuling):
        allowed = ", ".join(ClaimRuling)
        raise typer.BadParameter(f"--label takes CLAIM=LABEL with one of {allowed}")
    return claim_id.strip(), ClaimRuling(value)


def _read(file: str) -> str:
    try:
        data = read_small(file, _MAX_BYTES)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SourceUnreadable(
            f"{file!r} cannot be read: {reason}; nothing was resolved.",
            hint="Give a text file in UTF-8, or - for standard input.",
        ) from None
    if len(data) > _MAX_BYTES or not text.strip():
        what = "empty" if not text.strip() else "larger than any answer"
        raise SourceUnreadable(
            f"{file!r} is {what}; nothing was resolved.",
            hint="Use --reject to deliver nothing.",
        )
    return text.rstrip("\n")


def _tell(review: Review, *, as_json: bool) -> None:
    from guardrails.cli import review_view as view

    if as_json:
        view.print_json(view.review_json(review))
    else:
        view.print_state(review)
