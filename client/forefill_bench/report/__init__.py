"""Results as rows, figures with their spread, tables and plots."""
