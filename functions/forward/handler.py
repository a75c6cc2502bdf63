"""Settle a mail: forward it, answer it, or nothing."""

from pfi.edge.lambdas import job_function
from pfi.journey.forward import forward
from pfi.names import Step

handler = job_function(Step.FORWARD, forward)
