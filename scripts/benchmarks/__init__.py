"""What scripts/bench measures: `rows` has the table, the modules beside it the ways to measure."""
