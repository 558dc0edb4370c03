"""Stands in for Cloudflare Access: who is let in (`admission`), and with which token (`team`)."""
