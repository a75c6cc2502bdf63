"""PFI: the plateforme d'intermédiation between MSSanté mailboxes and the hospital's DPI."""
