from sampling.models.comparison import ArmComparison
from sampling.models.policy import QueuePolicy
from sampling.models.refill import RefillRun, RefillShard
from sampling.models.surrogate import Surrogate

__all__ = ["ArmComparison", "QueuePolicy", "RefillRun", "RefillShard", "Surrogate"]
