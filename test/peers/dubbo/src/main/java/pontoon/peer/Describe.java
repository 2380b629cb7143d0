package pontoon.peer;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.util.Collection;
import java.util.Date;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.TreeSet;

/** A text that names each value with its class, so that two ways to send a value can be compared where it arrives. */
final class Describe {
    private Describe() {}

    static String text(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out, new IdentityHashMap<>());
        return out.toString();
    }

    private static void write(Object value, StringBuilder out, IdentityHashMap<Object, Integer> seen) {
        if (value == null) {
            out.append("null");
            return;
        }
        Class<?> type = value.getClass();
        if (value instanceof Enum<?>) {
            out.append(((Enum<?>) value).getDeclaringClass().getSimpleName()).append('.').append(((Enum<?>) value).name());
        } else if (value instanceof String) {
            out.append('"');
            for (char c : ((String) value).toCharArray()) {
                if (c >= 32 && c < 127) out.append(c);
                else out.append(String.format("\\u%04x", (int) c));
            }
            out.append('"');
        } else if (value instanceof Character) {
            out.append(String.format("char %04x", (int) (Character) value));
        } else if (value instanceof Date) {
            out.append(type.getSimpleName()).append(' ').append(((Date) value).getTime());
        } else if (value instanceof BigDecimal || value instanceof Number || value instanceof Boolean
                || type.getName().startsWith("java.time.") || type.getName().equals("java.util.UUID")
                || type.getName().equals("java.util.Locale")) {
            out.append(type.getSimpleName()).append(' ').append(value);
        } else if (seen.containsKey(value)) {
            out.append('#').append(seen.get(value));
        } else {
            seen.put(value, seen.size());
            if (type.isArray()) array(value, out, seen);
            else if (value instanceof Collection<?>) collection((Collection<?>) value, out, seen);
            else if (value instanceof Map<?, ?>) map((Map<?, ?>) value, out, seen);
            else fields(value, out, seen);
        }
    }

    private static void array(Object value, StringBuilder out, IdentityHashMap<Object, Integer> seen) {
        out.append(value.getClass().getSimpleName()).append('{');
        for (int i = 0; i < Array.getLength(value); i++) {
            write(Array.get(value, i), out, seen);
            out.append(' ');
        }
        out.append('}');
    }

    private static void collection(Collection<?> values, StringBuilder out, IdentityHashMap<Object, Integer> seen) {
        boolean ordered = values instanceof java.util.List<?>;
        out.append(ordered ? "List" : "Set").append('[');
        TreeSet<String> sorted = new TreeSet<>();
        for (Object value : values) {
            if (ordered) {
                write(value, out, seen);
                out.append(' ');
            } else {
                sorted.add(text(value));
            }
        }
        out.append(ordered ? "" : sorted).append(']');
    }

    private static void map(Map<?, ?> values, StringBuilder out, IdentityHashMap<Object, Integer> seen) {
        TreeSet<String> keys = new TreeSet<>();
        java.util.HashMap<String, Object> byKey = new java.util.HashMap<>();
        values.forEach((key, value) -> {
            keys.add(text(key));
            byKey.put(text(key), value);
        });
        out.append("Map{");
        for (String key : keys) {
            out.append(key).append('=');
            write(byKey.get(key), out, seen);
            out.append(' ');
        }
        out.append('}');
    }

    private static void fields(Object value, StringBuilder out, IdentityHashMap<Object, Integer> seen) {
        out.append(value.getClass().getSimpleName()).append('(');
        for (Field field : value.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            out.append(field.getName()).append('=');
            try {
                write(field.get(value), out, seen);
            } catch (IllegalAccessException e) {
                throw new IllegalStateException(e);
            }
            out.append(' ');
        }
        out.append(')');
    }
}
