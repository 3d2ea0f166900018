"""What is known at the moment at which somebody could be asked: everything that a policy, this or another, decides by.

The log keeps it with each decision, so that another policy can be replayed on it. Times are ages, in seconds before the
moment: what was true then stays readable without a calendar.
"""

from typing import Literal

import msgspec

Outcome = Literal["open", "ignored", "dismissed", "answered"]


class PastAsk(msgspec.Struct, frozen=True, omit_defaults=True, rename={"asked_age": "a", "outcome": "o"}):
    """An earlier ask of the same respondent.

    asked_age
        Seconds since it was offered, or shown if that was later.
    closed_age
        Seconds since it was dismissed or answered; None where neither happened.
    open_seconds
        How long an open one can still be answered.
    """

    asked_age: float
    outcome: Outcome
    closed_age: float | None = None
    open_seconds: float = 0.0
    is_same_question: bool = False
    is_same_session: bool = False


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """How respondents of this kind react to asks: a Beta-Binomial prior by its means and its strength in asks."""

    answered: float = 0.2
    dismissed: float = 0.2
    strength: float = 20.0
    typical: float = 0.2
    """The answer rate of the whole project, the unit in which utility counts."""


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A prediction that could be asked about.

    informativeness
        In [0, 1], by the project's strategy; higher = a label teaches more.
    key
        Of the item, where there are several candidates.
    is_labelled
        The label is known, or somebody is being asked for it.
    is_gold
        Its true answer is known, and this respondent can be checked by it: they were named, and not asked about it before.
    label_share
        Share of the recent labels that have this value of the policy's segment; None where it is not known.
    quota_spent
        Asks of this segment value in the budget period.
    rates
        Of the respondents of its segment; None where they are those of the situation.
    """

    informativeness: float
    key: str = ""
    segment: str = ""
    is_labelled: bool = False
    is_gold: bool = False
    label_share: float | None = None
    quota_spent: int = 0
    rates: Rates | None = None


class Spending(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the budget stands.

    price
        What an ask must be worth beyond the threshold, in utility; see sampling.pacing.
    """

    spent: int = 0
    elapsed_seconds: float = 0.0
    price: float = 0.0


class Situation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An opportunity to ask a respondent, about one of some candidates.

    holdout_draw
        Sticky uniform number of the respondent in [0, 1); None where nobody was named.
    epsilon_needed
        What an answer to the question would add to the respondent's privacy loss; None where the question is not private.
    rates
        Of the first candidate's segment, and of all whose own are not given.
    spending
        None where the counters could not be read.
    """

    candidates: tuple[Candidate, ...]
    has_question: bool = True
    can_be_blind: bool = False
    consent: bool | None = None
    is_quiet: bool = False
    opted_out_seconds: float = 0.0
    is_blocked: bool = False
    holdout_draw: float | None = None
    history: tuple[PastAsk, ...] = ()
    right_count: int = 0
    wrong_count: int = 0
    epsilon_spent: float = 0.0
    epsilon_needed: float | None = None
    rates: Rates = Rates()
    spending: Spending | None = None
