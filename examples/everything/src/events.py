"""What happens without a caller, yours from the first copy on: an update never touches this file.

    async def scheduled(event, env):    each cron in "triggers" of wrangler.jsonc, as event.cron
    async def queue(batch, env):        the queues in "queues", as batch.queue; batch.messages

Only an event of Cloudflare's own gets here. An exception counts as a failure, and the messages of
a batch are then delivered again. docs/WRITING.md has an example of each.
"""

# Your Durable Objects and Workflows, which wrangler.jsonc names as "class_name".
CLASSES = ()
