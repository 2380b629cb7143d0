package pontoon.peer;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZonedDateTime;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What the tests call. Most methods give back what they get. */
public interface EchoService {
    boolean echoBoolean(boolean value);
    byte echoByte(byte value);
    short echoShort(short value);
    int echoInt(int value);
    long echoLong(long value);
    float echoFloat(float value);
    double echoDouble(double value);
    char echoChar(char value);
    Integer echoBoxedInt(Integer value);
    Long echoBoxedLong(Long value);
    String echoString(String value);
    byte[] echoBytes(byte[] value);
    Date echoDate(Date value);
    LocalDate echoLocalDate(LocalDate value);
    LocalTime echoLocalTime(LocalTime value);
    LocalDateTime echoLocalDateTime(LocalDateTime value);
    Instant echoInstant(Instant value);
    ZonedDateTime echoZoned(ZonedDateTime value);
    BigDecimal echoDecimal(BigDecimal value);
    BigInteger echoBigInteger(BigInteger value);
    Color echoColor(Color value);
    List<Long> echoLongs(List<Long> value);
    Set<String> echoSet(Set<String> value);
    Map<Long, String> echoMap(Map<Long, String> value);
    Map<Color, BigDecimal> echoEnumMap(Map<Color, BigDecimal> value);
    int[] echoInts(int[] value);
    int[][] echoGrid(int[][] value);
    String[] echoStrings(String[] value);
    Color[] echoColors(Color[] value);
    Person echoPerson(Person value);
    Person[] echoPersons(Person[] value);
    List<Person> echoPeople(List<Person> value);
    Box<String> echoBox(Box<String> value);
    Object echoObject(Object value);
    Everything echoEverything(Everything value);
    Everything[] echoMany(Everything[] value);
    Rare echoRare(Rare value);
    Rare[] echoRares(Rare[] value);

    /** The values and classes that arrived, in an order of their own. */
    String describe(Everything value);
    String describeRare(Rare value);
    String describeObject(Object value);

    String join(String first, int second, List<String> third);
    String over(int value);
    String over(String value);
    void nothing();
    void fail(String message, int code) throws OrderException;
    void crash(String message);
    String sleep(int milliseconds);
    String repeat(String text, int length);
    byte[] large(int length);
    void note(String text);
    String noteAndSleep(String text, int milliseconds);
    List<String> notes();
    Map<String, String> attachments();
    String name();
    /** A person who is a friend of a friend, and the parent of both. */
    Person circle();
}
