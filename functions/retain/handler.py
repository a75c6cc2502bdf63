"""Keep the bodies that are still needed from expiring, once a day."""

from pfi.edge.retain import retain_function

handler = retain_function()
