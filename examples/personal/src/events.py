"""What happens without a caller, yours from the first copy on: an update never touches this file.

    async def scheduled(event, env): ...    # a cron in "triggers" of wrangler.jsonc; event.cron
    async def queue(batch, env): ...        # a consumer in "queues"; batch.queue, batch.messages

Only events of Cloudflare's own get here. If a handler raises, the run counts as failed, and the
messages of a batch are delivered again. docs/WRITING.md has an example of each.
"""

# Your Durable Objects and Workflows, which wrangler.jsonc names as "class_name".
CLASSES = ()
