package pontoon.peer;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** A second, independent reading of the table in plugins/dubbo/README.md: which JSON a Java value is. Values that contain themselves are not for it. */
final class ResultJson {
    private static final DateTimeFormatter DATE =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    private ResultJson() {}

    static String text(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value == null) {
            out.append("null");
        } else if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            if (Double.isNaN(number) || Double.isInfinite(number)) string(value.toString(), out);
            else out.append(new BigDecimal(value.toString()));
        } else if (value instanceof Number || value instanceof Boolean) {
            // AtomicLong, BigInteger and BigDecimal are numbers, too.
            out.append(value instanceof AtomicLong ? ((AtomicLong) value).get() : value);
        } else if (value instanceof byte[]) {
            string(Base64.getEncoder().encodeToString((byte[]) value), out);
        } else if (value instanceof char[]) {
            string(new String((char[]) value), out);
        } else if (value instanceof Date) {
            string(DATE.format(Instant.ofEpochMilli(((Date) value).getTime())), out);
        } else if (value instanceof Enum<?>) {
            string(((Enum<?>) value).name(), out);
        } else if (value.getClass().isArray()) {
            int length = Array.getLength(value);
            out.append('[');
            for (int i = 0; i < length; i++) {
                if (i > 0) out.append(',');
                write(Array.get(value, i), out);
            }
            out.append(']');
        } else if (value instanceof Collection<?>) {
            write(((Collection<?>) value).toArray(), out);
        } else if (value instanceof Map<?, ?>) {
            map((Map<?, ?>) value, out);
        } else if (value.getClass().getName().startsWith("java.")) {
            // Strings, and java.time, UUID, Locale and others, whose toString is their text.
            string(value.toString(), out);
        } else {
            map(fields(value), out);
        }
    }

    private static void map(Map<?, ?> values, StringBuilder out) {
        out.append('{');
        String comma = "";
        for (Map.Entry<?, ?> entry : values.entrySet()) {
            out.append(comma);
            comma = ",";
            string(entry.getKey() instanceof Enum<?> ? ((Enum<?>) entry.getKey()).name() : String.valueOf(entry.getKey()), out);
            out.append(':');
            write(entry.getValue(), out);
        }
        out.append('}');
    }

    private static Map<String, Object> fields(Object value) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("class", value.getClass().getName());
        for (Field field : value.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            try {
                all.put(field.getName(), field.get(value));
            } catch (IllegalAccessException e) {
                throw new IllegalStateException(e);
            }
        }
        return all;
    }

    private static void string(String text, StringBuilder out) {
        out.append('"');
        for (char c : text.toCharArray()) {
            if (c >= 32 && c < 127 && c != '"' && c != '\\') out.append(c);
            else out.append(String.format("\\u%04x", (int) c));
        }
        out.append('"');
    }
}
