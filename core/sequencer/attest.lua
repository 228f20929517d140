-- An instance says that its history agrees with this server start; when all have said so the cell opens.
-- ARGV: keys prefix, instance, run id.
local keys, run = ARGV[1], ARGV[3]
if redis.call('HGET', keys .. 'meta', 'open') == run then return 1 end
local seen_by = keys .. 'attested:' .. run
redis.call('SADD', seen_by, ARGV[2])
redis.call('EXPIRE', seen_by, 86400)
if #redis.call('SDIFF', keys .. 'owners', seen_by) > 0 then return 0 end
redis.call('HSET', keys .. 'meta', 'open', run)
return 1
