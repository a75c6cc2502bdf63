"""Read an arrived mail: kind, archive, METADATA, CDA headers."""

from pfi.edge.lambdas import arrival_function
from pfi.journey.parse import parse
from pfi.names import Step

handler = arrival_function(Step.PARSE, parse)
