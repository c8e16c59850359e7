"""What no docstring can say: when something happens, and what to do then. Each key is a thing that the code has.

A thing without words here, and words without their thing, stop the generation and so the tests.
"""

from logos_core.cli.exits import Exit

HOOKS_WHEN = {
    "identify": "Once, when a session opens, before anything else is believed. The answer must be the preset's environment and account.",
    "instrument": "Before each order, to place it on the venue's grid. A venue may keep what it was told.",
    "prepare": "Before each attempt, ahead of the commit: nothing of the order is on record yet, and nothing of it may leave.",
    "submit": "Once per attempt, right after the attempt has become durable. The kill switch is read again at the first byte.",
    "replace": "Once per replacement, where the capabilities declare `replace.kind = native` for the type of the order and nothing of it has traded.",
    "cancel": "By `Adapter.cancel`, at any time, halted or not. It may be repeated.",
    "lookup": "After a duplicate, an unknown outcome or a cancel; by recovery; by `Adapter.lookup`.",
    "reconcile": "When a session opens, and by `Adapter.reconcile`.",
    "listen": "By `Adapter.listen`, in a thread of its own, where the capabilities declare `stream.heartbeat_s`; again after each end.",
    "classify_error": "After every error of one of the other hooks, and never for anything else.",
    "object_to": "Before each new attempt of an intent, when everything else has agreed.",
    "observe": "After each event is on record.",
}
HOOKS_RETURN = {
    "identify": "`VenueIdentity`: account and environment in the venue's own words, never from the preset.",
    "instrument": "`Instrument`. Raise `UnknownSymbolError` for a symbol that the venue does not list; the order is then denied.",
    "prepare": "`PreparedOrder`: the order's fields exactly as they will stand on the wire, and the position in the venue's log if it has one.",
    "submit": "`ExecutionReport` of this very order. An answer that is none is raised as `BadAnswerError`; the outcome is then unknown.",
    "replace": "`ExecutionReport` of the new order. Anything that cannot be read is raised; which order stands is then unknown.",
    "cancel": "`CancelReceipt`. It says that the request was taken, and nothing about the order.",
    "lookup": "`Found(report)` or `NotSeen(views=…)` with every place that was asked. Never conclude absence: the core does.",
    "reconcile": "`VenueSnapshot`, whole. Raise rather than return half of it: an outage is never an empty list.",
    "listen": "Nothing: it hands over what it hears, and returns or raises when the stream ends. The core connects again.",
    "classify_error": "`Classification`. `Outcome.UNKNOWN` for whatever is not on a list with a source.",
    "object_to": "A reason to deny the order, or `None`. Raising denies it too.",
    "observe": "Nothing. Whatever it raises is noted and changes nothing.",
}
HOOKS_NONE = {
    "listen": "`None` is all that is expected: the stream has ended.",
    "object_to": "`None` is no objection.",
    "observe": "`None` is all that is expected.",
}
HOOKS_NONE_VENUE = "`None` breaks the contract: `PluginContractError`, and after the commit an unknown outcome."

EXITS: dict[Exit, tuple[str, str]] = {
    Exit.DONE: ("done and known", "Nothing."),
    Exit.BUG: ("a bug, ours or a plugin's", "Look with `logos show` before anything else; then report it."),
    Exit.USAGE: ("usage, configuration, or a ledger that cannot be used", "Mend what the message names. Nothing was sent."),
    Exit.DENIED: ("denied: we refused, nothing was sent", "Mend the cause, then the same command with the same `--intent-id`."),
    Exit.REJECTED: ("rejected: the venue proved that it holds no such order", "Final. A new decision needs a new `--intent-id`."),
    Exit.UNKNOWN: (
        "**unknown**: the order may be live",
        "The same command again, or `logos recover PRESET`. Never another `--intent-id`.",
    ),
    Exit.CONFLICT: (
        "in conflict with what is on record, or in flight elsewhere",
        "Wait and repeat; or it is another order under an old name.",
    ),
    Exit.UNAVAILABLE: (
        "unavailable: this call provably sent nothing",
        "The same command again, later. If it says *closed*, a new `--intent-id`.",
    ),
    Exit.CHECK_FAILED: ("a check did not hold", "Read what it says: the books differ, a cancel has not taken, a chain is broken."),
}

DENIALS = {
    "EXTENSION_OBJECTION": "An extension of the preset objects, or failed while it was asked. Mend what it names.",
    "INSTRUMENT_UNKNOWN": "The venue does not list the symbol. Spell it as the venue's SDK does.",
    "KILL_SWITCH_HALTED": "A person has halted new orders, or the session has latched. Find out why, then `logos resume`.",
    "KILL_SWITCH_LATCHED": "The ledger holds something that must not be: a second order, a stranger under our id. See `logos status`.",
    "NOTIONAL_BELOW_MINIMUM": "Price times quantity is less than the venue takes.",
    "ORDER_EXPIRED": "`expires_at` has passed.",
    "ORDER_FEATURE_UNSUPPORTED": "The venue cannot do this with this type of order and time in force. The message says with which it can.",
    "ORDER_INVALID": "The order cannot mean anything; the message names the field.",
    "ORDER_TIME_IN_FORCE": "The venue does not take this time in force for this type of order.",
    "ORDER_TYPE_UNSUPPORTED": "The venue does not take this type of order for this symbol.",
    "PRICE_OFF_GRID": "A price is between the venue's ticks. Correct it, or ask for `round_to_grid`.",
    "QUANTITY_ABOVE_MAXIMUM": "More than the venue takes in one order.",
    "QUANTITY_BELOW_MINIMUM": "Less than the venue takes.",
    "QUANTITY_OFF_GRID": "The quantity is between the venue's steps. Correct it, or ask for `round_to_grid`.",
    "RATE_BUDGET_SPENT": "The request budget is spent for longer than `rate_limit.max_wait_s`. Submit it later.",
    "REPLACE_SUCCEEDED": "Another order has taken this one's place. Replace that one; the message names it.",
    "REPLACE_LINKED": "Legs hang on the order: a pair of exits, or an entry that has traded. See what protects the position, cancel, decide anew.",
    "REPLACE_ORIGINAL_UNKNOWN": "Nobody knows yet whether the order to be replaced exists. Find that out first.",
    "REPLACE_QUANTITY_TRADED": "As much as the new total has been traded already. Give more, or cancel the order.",
    "REPLACE_QUANTITY_UNKNOWN": "The order is by notional, so no new total can be told. Cancel it and submit a new one.",
    "REPLACE_TERMS_UNKNOWN": "The order was read back from the venue, and its terms are not on record. Cancel it and submit a new one.",
    "REPLACE_UNDER_WAY": "Another replacement of the same order is not settled yet. Settle that one first.",
    "SEND_WINDOW_PASSED": "The attempt did not begin to leave in time after its commit. It is tried again by itself while the order is valid.",
    "UNKNOWN_OUTCOME_OPEN": (
        "Nobody knows yet what became of another order, on the same instrument or, if `[unknown] holds` says so, on the account. "
        "The message names it. `logos recover`, or submit that intent again, or `logos resolve`; then this one again."
    ),
}
"""By reason: what was wrong, and what to do about it."""
