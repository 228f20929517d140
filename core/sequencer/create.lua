-- Makes an empty cell where there is none. ARGV: keys prefix, run id, identity.
local key = ARGV[1] .. 'meta'
if redis.call('EXISTS', key) == 1 then return 0 end
redis.call('HSET', key, 'epoch', '1', 'id', ARGV[3], 'open', ARGV[2], 'forked', '', 'seq', '0', 'ts', '0')
return 1
