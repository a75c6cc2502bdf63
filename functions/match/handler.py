"""Match the documents of a mail with the hospital's patient base."""

from pfi.edge.lambdas import job_function
from pfi.journey.match import match
from pfi.names import Step

handler = job_function(Step.MATCH, match)
