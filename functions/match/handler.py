"""Match the documents of a mail with the hospital's patient base."""

from pfi.edge.lambdas import match_function
from pfi.journey.match import match
from pfi.names import Step

handler = match_function(Step.MATCH, match)
