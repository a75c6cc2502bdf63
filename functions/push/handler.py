"""Push one document to the DPI and read its ACK."""

from pfi.edge.lambdas import job_function
from pfi.journey.push import push
from pfi.names import Step

handler = job_function(Step.PUSH, push)
