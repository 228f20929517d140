-- Takes, prolongs or gives up the lease of an instance.
-- ARGV: keys prefix, instance, token, host, ttl ms, mode (acquire, renew, release), register (1 or 0).
local keys, instance, token, host, mode = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[6]
local key = keys .. 'i:' .. instance
local stored = redis.call('HMGET', key, 'token', 'host', 'until', 'n', 'in', 'obs')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if mode == 'acquire' then
  local held = stored[1] and stored[1] ~= '' and stored[1] ~= token and tonumber(stored[3] or '0') > now
  -- On one host the file lock has already decided who lives.
  if held and stored[2] ~= host then return {'busy', stored[2]} end
  if ARGV[7] == '1' then redis.call('SADD', keys .. 'owners', instance) end
elseif stored[1] ~= token then
  return {'lost', stored[2] or ''}
end
local till = mode == 'release' and 0 or now + tonumber(ARGV[5])
if mode == 'acquire' then redis.call('HSET', key, 'token', token, 'host', host) end
redis.call('HSET', key, 'until', string.format('%.0f', till))
return {'ok', stored[4] or '0', stored[5] or '0', stored[6] or '0'}
