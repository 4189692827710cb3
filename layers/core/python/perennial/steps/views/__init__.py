"""Tables of stored views: what they are made of, made, published, brought online."""
