"""A scripted scenario of faults on the deployed laptop; at its end every mail is accounted for."""
