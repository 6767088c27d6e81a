"""What stations and bridges say to each other: topics, messages, and the link that carries them."""
