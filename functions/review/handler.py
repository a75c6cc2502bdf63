"""Record what landed in a dead-letter queue for a person to look at."""

from pfi.edge.lambdas import review_function
from pfi.journey.review import review

handler = review_function(review)
