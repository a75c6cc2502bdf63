"""Apply identity messages that the hospital's identity repository sends over HTTPS."""

from pfi.edge.feed import feed_function

handler = feed_function()
