"""Load the patient files that the hospital drops into the store."""

from pfi.edge.lambdas import file_function
from pfi.edge.load import load_dropped
from pfi.names import Step

handler = file_function(Step.LOAD, load_dropped)
