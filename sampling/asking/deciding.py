"""To ask or not to ask: gates, then utility, then chance. docs/algorithms/ask_policy.md."""

import msgspec

from sampling.asking import gates, utility
from sampling.asking.draws import Draws
from sampling.asking.gates import Refusal
from sampling.asking.policy import Policy, Reason
from sampling.asking.situation import Situation
from sampling.asking.utility import Terms


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, and all that an estimate needs to know of it.

    chosen
        Place of the candidate that is asked about; None where nobody is asked.
    propensity
        Of a yes: the chance that exactly this candidate was to be asked about. Of a no after the gates: the chance that
        any was. None where a gate refused.
    propensities
        Of the eligible candidates, in the order of `eligible`; they sum to the chance that any is asked about.
    draw
        In [0, 1); None where a gate refused. Asked where it is below the sum of the propensities.
    """

    reason: Reason
    is_ask: bool = False
    chosen: int | None = None
    eligible: tuple[int, ...] = ()
    propensity: float | None = None
    propensities: tuple[float, ...] = ()
    draw: float | None = None
    terms: tuple[Terms, ...] = ()
    is_blind: bool = False
    retry_after: float | None = None

    @property
    def is_eligible(self) -> bool:
        return bool(self.eligible)

    @property
    def is_audit(self) -> bool:
        return self.reason == Reason.AUDIT


def decide(policy: Policy, situation: Situation, draws: Draws) -> Decision:
    """Decide by the policy. A pure function: the same arguments give the same decision.

    Notes
    -----
    One number decides for all candidates: [0, 1) is laid out in intervals as long as their propensities, each beginning
    with its audit part, and the interval that the draw falls into is asked about. So the propensities are exact, for one
    candidate and for many, and a draw of the audit part is uniform whatever the utilities are.
    """
    checked = gates.check(policy, situation)
    if isinstance(checked, Refusal):
        return Decision(reason=checked.reason, retry_after=checked.retry_after)
    terms = utility.of_candidates(policy, situation, checked.eligible)
    is_check = [gates.is_check(policy, situation, situation.candidates[place]) for place in checked.eligible]
    chances, audit = utility.propensities(policy, [each.utility for each in terms], is_check=is_check)
    begin = 0.0
    for place, chance, audited, is_known in zip(checked.eligible, chances, audit, is_check, strict=True):
        if draws.draw < begin + chance:
            chosen = Reason.AUDIT if draws.draw < begin + audited else Reason.SELECTED
            return Decision(
                reason=Reason.CHECK if is_known else chosen,
                is_ask=True,
                chosen=place,
                eligible=checked.eligible,
                propensity=chance,
                propensities=tuple(chances),
                draw=draws.draw,
                terms=tuple(terms),
                is_blind=situation.can_be_blind and draws.blind < policy.blind_share,
            )
        begin += chance
    return Decision(
        reason=Reason.NOT_DRAWN,
        eligible=checked.eligible,
        propensity=min(sum(chances), 1.0),
        propensities=tuple(chances),
        draw=draws.draw,
        terms=tuple(terms),
    )
