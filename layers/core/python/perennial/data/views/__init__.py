"""The SQL of feature views: what it reads, whether it looks ahead, and the tables that it makes."""
