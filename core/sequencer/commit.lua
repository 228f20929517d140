-- The sequencer: numbers, stores and publishes the lines of one commit, or refuses all of them.
-- ARGV: keys prefix, channel prefix, instance, token, epoch, run id, seen, n, in, obs, digest, ttl ms, state flag, state,
--       then per line: topic, type, cause, root, root ts, body.
local keys, channels, instance = ARGV[1], ARGV[2], ARGV[3]
local FIRST, STEP = 15, 6
local meta_key, instance_key, last_key = keys .. 'meta', keys .. 'i:' .. instance, keys .. 'last'

local meta = redis.call('HMGET', meta_key, 'epoch', 'open', 'forked', 'seq', 'ts')
if meta[3] and meta[3] ~= '' then return {'forked', meta[3]} end
if meta[1] ~= ARGV[5] then return {'epoch', meta[1] or '0'} end
if meta[2] ~= ARGV[6] then return {'closed'} end
local seq = tonumber(meta[4])
if tonumber(ARGV[7]) > seq then
  local found = instance .. ' has seen ' .. ARGV[7] .. ', the server only has ' .. meta[4]
  redis.call('HSET', meta_key, 'forked', found)
  return {'forked', found}
end

local stored = redis.call('HMGET', instance_key, 'token', 'n', 'digest', 'first', 'count', 'ts')
if stored[1] ~= ARGV[4] then return {'lease', stored[1] or ''} end
local n, stored_n = tonumber(ARGV[8]), tonumber(stored[2] or '0')
if n == stored_n then
  if stored[3] ~= ARGV[11] then return {'conflict', stored[2]} end
  return {'again', stored[4], stored[5], stored[6]}
end
if n ~= stored_n + 1 then return {'number', stored[2] or '0'} end

-- Everything is checked before the first write: a script that fails half way is not rolled back.
local names, known, previous = {}, {}, {}
for i = FIRST, #ARGV, STEP do
  local topic, body = ARGV[i], ARGV[i + 5]
  if string.sub(body, 1, 1) ~= '{' or string.sub(body, -1) ~= '}' or #body < 3 or string.sub(body, 2, 3) == '"_'
      or string.find(body, '\n', 1, true) then return {'bad', topic, 'body'} end
  if not known[topic] then
    if #topic > 200 or not string.find(topic, '^[%w%._%-/:@]+$') then return {'bad', topic, 'topic'} end
    known[topic] = true
    names[#names + 1] = topic
  end
end
if #names > 0 then
  local last = redis.call('HMGET', last_key, unpack(names))
  for k, topic in ipairs(names) do
    if not last[k] and redis.call('TYPE', keys .. 'stream:' .. topic)['ok'] ~= 'none' then
      return {'bad', topic, 'key'}
    end
    previous[topic] = last[k] or '0'
  end
end

-- Microseconds fit a double exactly, nanoseconds do not: the zeros are appended as text.
local now = redis.call('TIME')
local us, last_us = now[1] * 1000000 + now[2], tonumber(meta[5])
if us < last_us then us = last_us end
local ts = string.format('%.0f000', us)
local first, left = seq + 1, (#ARGV - FIRST + 1) / STEP
local count = left

for i = FIRST, #ARGV, STEP do
  seq = seq + 1
  left = left - 1
  local q, topic, root, root_ts = string.format('%.0f', seq), ARGV[i], ARGV[i + 3], ARGV[i + 4]
  if root == '0' then root, root_ts = q, ts end
  local line = '{"_seq":' .. q .. ',"_ts":' .. ts .. ',"_prev":' .. previous[topic] .. ',"_src":"' .. instance
    .. '","_cause":' .. ARGV[i + 2] .. ',"_root":' .. root .. ',"_root_ts":' .. root_ts .. ',"_type":"' .. ARGV[i + 1]
    .. '","_v":1,"_n":' .. ARGV[8] .. ',"_more":' .. left .. ',' .. string.sub(ARGV[i + 5], 2)
  redis.call('XADD', keys .. 'stream:' .. topic, q, 'l', line)
  redis.call('PUBLISH', channels .. topic, line)
  previous[topic] = q
end

if count > 0 then
  local last = {}
  for _, topic in ipairs(names) do last[#last + 1] = topic; last[#last + 1] = previous[topic] end
  redis.call('HSET', last_key, unpack(last))
  redis.call('HSET', meta_key, 'seq', string.format('%.0f', seq), 'ts', string.format('%.0f', us))
end
local first_text = string.format('%.0f', first)
redis.call('HSET', instance_key, 'n', ARGV[8], 'in', ARGV[9], 'obs', ARGV[10], 'digest', ARGV[11],
  'first', first_text, 'count', count, 'ts', ts, 'until', string.format('%.0f', us / 1000 + tonumber(ARGV[12])))
if ARGV[13] == '1' then
  redis.call('HSET', keys .. 'state:' .. instance, 'state', ARGV[14], 'in', ARGV[9], 'n', ARGV[8])
end
return {'ok', first_text, count, ts}
