"""Watch certificates and renew revocation lists, once a day."""

from pfi.edge.certificates import certificates_function

handler = certificates_function()
