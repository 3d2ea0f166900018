from sampling.models.ask_decision import AskDecision
from sampling.models.ask_policy import AskPolicy
from sampling.models.comparison import ArmComparison
from sampling.models.policy import QueuePolicy
from sampling.models.refill import RefillRun, RefillShard
from sampling.models.surrogate import Surrogate

__all__ = ["ArmComparison", "AskDecision", "AskPolicy", "QueuePolicy", "RefillRun", "RefillShard", "Surrogate"]
