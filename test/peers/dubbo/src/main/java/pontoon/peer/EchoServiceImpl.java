package pontoon.peer;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;
import org.apache.dubbo.rpc.RpcContext;

public class EchoServiceImpl implements EchoService {
    static final LongAdder answers = new LongAdder();
    static final LongAdder characters = new LongAdder();
    private final String name;
    private final List<String> notes = Collections.synchronizedList(new ArrayList<>());

    public EchoServiceImpl(String name) {
        this.name = name;
    }

    public boolean echoBoolean(boolean value) { return value; }
    public byte echoByte(byte value) { return value; }
    public short echoShort(short value) { return value; }
    public int echoInt(int value) { return value; }
    public long echoLong(long value) { return value; }
    public float echoFloat(float value) { return value; }
    public double echoDouble(double value) { return value; }
    public char echoChar(char value) { return value; }
    public Integer echoBoxedInt(Integer value) { return value; }
    public Long echoBoxedLong(Long value) { return value; }
    public String echoString(String value) {
        answers.increment();
        characters.add(value == null ? 0 : value.length());
        return value;
    }
    public byte[] echoBytes(byte[] value) { return value; }
    public Date echoDate(Date value) { return value; }
    public LocalDate echoLocalDate(LocalDate value) { return value; }
    public LocalTime echoLocalTime(LocalTime value) { return value; }
    public LocalDateTime echoLocalDateTime(LocalDateTime value) { return value; }
    public Instant echoInstant(Instant value) { return value; }
    public ZonedDateTime echoZoned(ZonedDateTime value) { return value; }
    public BigDecimal echoDecimal(BigDecimal value) { return value; }
    public BigInteger echoBigInteger(BigInteger value) { return value; }
    public Color echoColor(Color value) { return value; }
    public List<Long> echoLongs(List<Long> value) { return typed(value, Long.class); }
    public Set<String> echoSet(Set<String> value) { return value; }
    public Map<Long, String> echoMap(Map<Long, String> value) {
        if (value != null) typed(value.keySet(), Long.class);
        return value;
    }
    public Map<Color, BigDecimal> echoEnumMap(Map<Color, BigDecimal> value) {
        if (value != null) typed(value.keySet(), Color.class);
        return value;
    }
    public int[] echoInts(int[] value) { return value; }
    public int[][] echoGrid(int[][] value) { return value; }
    public String[] echoStrings(String[] value) { return value; }
    public Color[] echoColors(Color[] value) { return value; }
    public Person echoPerson(Person value) { return value; }
    public Person[] echoPersons(Person[] value) { return value; }
    public List<Person> echoPeople(List<Person> value) { return typed(value, Person.class); }
    public Box<String> echoBox(Box<String> value) { return value; }
    public Object echoObject(Object value) { return value; }
    public Everything echoEverything(Everything value) { return value; }
    public Everything[] echoMany(Everything[] value) { return value; }
    public Rare echoRare(Rare value) { return value; }
    public Rare[] echoRares(Rare[] value) { return value; }

    public String describe(Everything value) { return Describe.text(value); }
    public String describeRare(Rare value) { return Describe.text(value); }
    public String describeObject(Object value) { return Describe.text(value); }

    public String join(String first, int second, List<String> third) { return first + "|" + second + "|" + third; }
    public String over(int value) { return "int " + value; }
    public String over(String value) { return "String " + value; }
    public void nothing() {}

    public void fail(String message, int code) throws OrderException {
        throw new OrderException(message, code, new IllegalStateException("the cause"));
    }

    public void crash(String message) {
        throw new IllegalArgumentException(message);
    }

    public String sleep(int milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return "slept " + milliseconds;
    }

    public String repeat(String text, int length) {
        StringBuilder all = new StringBuilder(length + text.length());
        while (all.length() < length) all.append(text);
        return all.toString();
    }

    public byte[] large(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) bytes[i] = (byte) (i * 31 + (i >> 8));
        return bytes;
    }

    /** Told on stderr, too, where it outlives the process. */
    public void note(String text) {
        notes.add(text);
        System.err.println("note " + text);
    }

    public String noteAndSleep(String text, int milliseconds) {
        note(text);
        return sleep(milliseconds);
    }

    public List<String> notes() {
        synchronized (notes) {
            return new ArrayList<>(notes);
        }
    }

    public Map<String, String> attachments() {
        RpcContext.getServerContext().setObjectAttachment("answered-by", name);
        Map<String, String> all = new TreeMap<>();
        RpcContext.getServerAttachment().getObjectAttachments().forEach((key, value) -> all.put(key, String.valueOf(value)));
        return all;
    }

    public String name() { return name; }

    public Person circle() {
        Person first = new Person();
        Person second = new Person();
        first.setName("first");
        second.setName("second");
        first.setFriends(List.of(second, second));
        second.setFriends(List.of(first));
        second.setParent(first);
        first.setParent(first);
        return first;
    }

    /** Java's generics are erased: an element of another class would only fail where it is used. */
    private static <C extends java.util.Collection<?>> C typed(C values, Class<?> type) {
        if (values != null) values.forEach(type::cast);
        return values;
    }
}
