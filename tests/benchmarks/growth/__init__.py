"""`make bench-growth`: what each step costs with 1,000, 10,000 and 100,000 cubes, and what one correction costs."""
