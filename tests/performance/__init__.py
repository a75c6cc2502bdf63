"""What the product needs in time and memory, measured."""
