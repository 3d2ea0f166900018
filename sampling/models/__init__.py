from sampling.models.policy import QueuePolicy
from sampling.models.refill import RefillRun

__all__ = ["QueuePolicy", "RefillRun"]
