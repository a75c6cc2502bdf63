"""Coverage-guided fuzzing of everything that reads what others wrote (issue PROOF, point 8)."""
