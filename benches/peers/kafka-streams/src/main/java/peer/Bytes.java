package peer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Bytes that grow: where a line is put together, again and again in the same place. */
final class Bytes {
    private byte[] bytes = new byte[1024];
    private int length;

    void clear() {
        length = 0;
    }

    void add(byte[] from) {
        add(from, 0, from.length);
    }

    void add(byte[] from, int start, int end) {
        room(end - start);
        System.arraycopy(from, start, bytes, length, end - start);
        length += end - start;
    }

    void add(String text) {
        add(text.getBytes(StandardCharsets.UTF_8));
    }

    void add(char ascii) {
        room(1);
        bytes[length++] = (byte) ascii;
    }

    int length() {
        return length;
    }

    byte[] array() {
        return bytes;
    }

    byte[] copy() {
        return Arrays.copyOf(bytes, length);
    }

    private void room(int more) {
        if (bytes.length - length < more) bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, length + more));
    }
}
