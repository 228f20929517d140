-- Drops stream entries that are on disk and behind every stored state, but never a topic's last ones.
-- ARGV: keys prefix, how many to keep, topics.
local keys, keep = ARGV[1], tonumber(ARGV[2])
local lowest
for _, instance in ipairs(redis.call('SMEMBERS', keys .. 'owners')) do
  local saved = redis.call('HMGET', keys .. 'state:' .. instance, 'state', 'in')
  local at = tonumber(saved[2] or '0')
  -- A source remembers nothing but the ends of its own topics, which always stay; one that has ended holds nothing back.
  if saved[1] ~= '{}' and (not lowest or at < lowest) then lowest = at end
end
local dropped = 0
for i = 3, #ARGV do
  local stream = keys .. 'stream:' .. ARGV[i]
  local safe = tonumber(redis.call('HGET', keys .. 'journalled', ARGV[i]) or '0')
  -- Looking for the oldest entry to keep costs as much as there are: not worth it for a few.
  if lowest and redis.call('XLEN', stream) > 2 * keep then
    local kept = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', keep)
    local oldest = tonumber(string.match(kept[#kept][1], '^%d+'))
    dropped = dropped + redis.call('XTRIM', stream, 'MINID', string.format('%.0f', math.min(safe, lowest, oldest)))
  end
end
return dropped
