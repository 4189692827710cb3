"""Reports for people: self-contained HTML pages with plots, of whatever a step has found."""
