"""What must hold whatever happens, as one table: each invariant, the rules that a finding may name, and what decides it.

A check that cannot look at everything says so in `beyond`: what is not there to be looked at, or who else looks at it.
"""

from attrs import field, frozen


@frozen(kw_only=True)
class Invariant:
    """One promise.

    Attributes:
        says: the promise, in one sentence.
        rules: what a finding against it may be called.
        decided_by: the functions of this package that look.
        beyond: what they cannot see, and why; empty if they see it all.
    """

    says: str
    rules: tuple[str, ...]
    decided_by: tuple[str, ...]
    beyond: str = ""


INVARIANTS: dict[str, Invariant] = {
    "I1": Invariant(
        says="The venue holds at most one order per client order id.",
        rules=("one order per client order id",),
        decided_by=("holdings.one_per_client_order_id",),
    ),
    "I2": Invariant(
        says="The venue holds at most one order per intent.",
        rules=("one order per intent",),
        decided_by=("holdings.one_per_intent", "holdings.real_orders"),
    ),
    "I3": Invariant(
        says="Every order belongs to an intent that was durable before the venue received it.",
        rules=("recorded before it left", "nothing leaves unrecorded"),
        decided_by=("requests.recorded_before", "requests.one_per_attempt"),
        beyond="That a record was durable, and not only written, is seen by who reads the file at the first byte: "
        "campaign.histories and campaign.matrix do, and campaign.power takes the power.",
    ),
    "I4": Invariant(
        says="Once everything works again, nothing is unknown but what a named person closed, and the ledger says what the venue says.",
        rules=(
            "every order is known", "no order is denied", "no order is invented", "same order", "same status", "same filled quantity",
            "executions once each", "no execution is invented", "same execution", "same fees", "every execution has its intent",
            "nothing stays unknown", "no outcome without proof",
        ),
        decided_by=(
            "holdings.known_orders", "holdings.real_orders", "holdings.executions", "holdings.settled", "holdings.proved",
            "holdings.told",
        ),
        beyond="Where a venue holds no order and nothing can prove that it never will, an unknown intent stays unknown; "
        "who plays such a venue says so.",
    ),
    "I5": Invariant(
        says="No more trades than was decided, by an order and by all that take its place together, and what has traded never shrinks.",
        rules=("never more than was ordered", "fills never shrink"),
        decided_by=("quantities.ordered", "quantities.never_shrinking"),
        beyond="An order by notional states no quantity; nothing is held against it.",
    ),
    "I6": Invariant(
        says="No order's first byte leaves while new orders are stopped.",
        rules=("nothing leaves while stopped",),
        decided_by=("requests.stopped",),
        beyond="A halt is a file that leaves no record once it is gone: who halts passes its times on, or looks at the first byte.",
    ),
    "I7": Invariant(
        says="What was on record before a crash is on record after it, and what was settled stays settled.",
        rules=("no event is lost", "no row is lost", "no outcome is taken back"),
        decided_by=("chain.lost", "chain.vanished"),
    ),
    "I8": Invariant(
        says="The chains of events verify, and the events, played again, make the tables, transition for transition.",
        rules=("the chains verify", "every transition is legal", "the events make the tables"),
        decided_by=("chain.chains", "replay.replayed"),
    ),
    "I9": Invariant(
        says="The evidence that a session leaves behind, and what waits beside the ledger, say nothing that the ledger does not say.",
        rules=("no evidence is invented", "nothing is left waiting"),
        decided_by=("artifacts.evidence", "artifacts.waiting"),
        beyond="There is no feed of events to another system, so there is no cursor of one to be held against the ledger.",
    ),
    "I10": Invariant(
        says="No secret is in any file that is left behind.",
        rules=("no secret is told",),
        decided_by=("artifacts.leaks",),
        beyond="A secret in a memory dump of the system's own is not looked for.",
    ),
    "I11": Invariant(
        says="Each attempt on record is one request on the wire.",
        rules=("one request per attempt",),
        decided_by=("requests.one_per_attempt",),
    ),
    "I12": Invariant(
        says="What may be under way is counted as such at every moment.",
        rules=("what is under way is counted",),
        decided_by=("requests.counted",),
        beyond="No guard counts positions or notional against a limit, so there is no usage that could be too low; "
        "what is looked at is what the hold on unknown outcomes rests on.",
    ),
}  # fmt: skip

INVARIANT_OF = {rule: number for number, invariant in INVARIANTS.items() for rule in invariant.rules}
"""Which invariant a rule belongs to."""


@frozen
class Finding:
    """One thing that does not hold.

    Attributes:
        rule: which, as the table names it.
        subject: what breaks it.
        said: how.
    """

    rule: str = field()
    subject: str
    said: str

    @rule.validator
    def _is_in_the_table(self, _: object, rule: str) -> None:
        if rule not in INVARIANT_OF:
            raise ValueError(f"{rule!r} belongs to no invariant")

    @property
    def invariant(self) -> str:
        """The number of the invariant that does not hold."""
        return INVARIANT_OF[self.rule]

    def __str__(self) -> str:
        return f"{self.invariant}, {self.rule}: {self.subject}: {self.said}"
