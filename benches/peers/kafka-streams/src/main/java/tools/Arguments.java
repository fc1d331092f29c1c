package tools;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** Arguments of the form `--name value`; `--set key=value` may come several times. */
public final class Arguments {
    private final Map<String, String> values = new HashMap<>();
    private final List<String> set = new ArrayList<>();

    public Arguments(String[] arguments) {
        if (arguments.length % 2 != 0) throw new IllegalArgumentException("arguments are pairs: --name value");
        for (int index = 0; index < arguments.length; index += 2) {
            if (!arguments[index].startsWith("--")) throw new IllegalArgumentException(arguments[index]);
            String name = arguments[index].substring(2);
            if (name.equals("set")) set.add(arguments[index + 1]);
            else values.put(name, arguments[index + 1]);
        }
    }

    public String text(String name, String usual) {
        String value = values.getOrDefault(name, usual);
        if (value == null) throw new IllegalArgumentException("--" + name + " is missing");
        return value;
    }

    public String text(String name) {
        return text(name, null);
    }

    public long number(String name, long usual) {
        return Long.parseLong(text(name, Long.toString(usual)));
    }

    public int small(String name, int usual) {
        return Math.toIntExact(number(name, usual));
    }

    /** Adds what was given by `--set`. */
    public void into(Properties properties) {
        for (String pair : set) {
            String[] parts = pair.split("=", 2);
            properties.put(parts[0], parts[1]);
        }
    }
}
