"""The leaderboard as one self-contained page: its facts, its table, its template. Light."""
