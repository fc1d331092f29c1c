package peer;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.WriteBufferManager;

/**
 * One bound for the memory of all stores of the process, as Kafka's documentation advises: blocks, filters
 * and memtables share one cache. Memtables are larger than Kafka's default of 16 MB.
 */
public final class BoundedRocks implements RocksDBConfigSetter {
    private static final long MEMORY = Long.getLong("rocks.memory.mb", 512) << 20;
    private static final long MEMTABLES = MEMORY / 2;

    static {
        RocksDB.loadLibrary();
    }

    private static final Cache CACHE = new LRUCache(MEMORY, -1, false, 0.1);
    private static final WriteBufferManager MEMTABLE_MANAGER = new WriteBufferManager(MEMTABLES, CACHE);
    private static final BloomFilter FILTER = new BloomFilter(10, false);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        table.setCacheIndexAndFilterBlocks(true);
        table.setCacheIndexAndFilterBlocksWithHighPriority(true);
        table.setPinTopLevelIndexAndFilter(true);
        table.setFilterPolicy(FILTER);
        options.setTableFormatConfig(table);
        options.setWriteBufferManager(MEMTABLE_MANAGER);
        options.setWriteBufferSize(32 << 20);
        options.setMaxWriteBufferNumber(3);
    }

    @Override
    public void close(String store, Options options) {
        // What is shared lives as long as the process.
    }
}
