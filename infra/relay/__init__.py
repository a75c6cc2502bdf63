"""The relay of the identity feed: MLLP inside the hospital, HTTPS with mutual TLS outside.

It runs on a server of the hospital with Python alone: nothing here needs more than the standard
library and `pfi.hl7`.
"""
