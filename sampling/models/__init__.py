from sampling.models.policy import QueuePolicy
from sampling.models.refill import RefillRun, RefillShard
from sampling.models.surrogate import Surrogate

__all__ = ["QueuePolicy", "RefillRun", "RefillShard", "Surrogate"]
