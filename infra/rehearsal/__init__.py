"""`pfi rehearse`: what would have become of real mails, before anything is switched on.

Whatever this package holds can only read. It knows neither the DPI, nor the relay, nor a queue.
"""
