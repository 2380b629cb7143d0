package pontoon.peer;

import java.io.Serializable;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One field of each type that generic calls know; but for a primitive float, whose reader in hessian-lite up to 4.0.4 overwrites the fields beside it
 * (apache/dubbo#15670). EchoService has a method for it.
 */
public class Everything implements Serializable {
    private static final long serialVersionUID = 1;
    private boolean flag;
    private byte tiny;
    private short small;
    private int number;
    private long big;
    private double real;
    private char letter;
    private Boolean boxedFlag;
    private Byte boxedTiny;
    private Short boxedSmall;
    private Integer boxedNumber;
    private Long boxedBig;
    private Float boxedSingle;
    private Double boxedReal;
    private Character boxedLetter;
    private String text;
    private byte[] bytes;
    private Date date;
    private BigDecimal decimal;
    private BigInteger integer;
    private Color color;
    private LocalDate localDate;
    private LocalTime localTime;
    private LocalDateTime localDateTime;
    private List<Long> longs;
    private Set<String> words;
    private Map<Long, String> names;
    private Map<String, List<Integer>> lists;
    private Map<Color, BigDecimal> prices;
    private int[] ints;
    private long[] longArray;
    private double[] doubles;
    private String[] strings;
    private Color[] colors;
    private int[][] grid;
    private Person person;
    private List<Person> people;
    private Map<String, Person> byName;
    private Person[] staff;
    private Box<String> box;
    private Object anything;

    public boolean isFlag() { return flag; }
    public void setFlag(boolean flag) { this.flag = flag; }
    public byte getTiny() { return tiny; }
    public void setTiny(byte tiny) { this.tiny = tiny; }
    public short getSmall() { return small; }
    public void setSmall(short small) { this.small = small; }
    public int getNumber() { return number; }
    public void setNumber(int number) { this.number = number; }
    public long getBig() { return big; }
    public void setBig(long big) { this.big = big; }
    public double getReal() { return real; }
    public void setReal(double real) { this.real = real; }
    public char getLetter() { return letter; }
    public void setLetter(char letter) { this.letter = letter; }
    public Boolean getBoxedFlag() { return boxedFlag; }
    public void setBoxedFlag(Boolean boxedFlag) { this.boxedFlag = boxedFlag; }
    public Byte getBoxedTiny() { return boxedTiny; }
    public void setBoxedTiny(Byte boxedTiny) { this.boxedTiny = boxedTiny; }
    public Short getBoxedSmall() { return boxedSmall; }
    public void setBoxedSmall(Short boxedSmall) { this.boxedSmall = boxedSmall; }
    public Integer getBoxedNumber() { return boxedNumber; }
    public void setBoxedNumber(Integer boxedNumber) { this.boxedNumber = boxedNumber; }
    public Long getBoxedBig() { return boxedBig; }
    public void setBoxedBig(Long boxedBig) { this.boxedBig = boxedBig; }
    public Float getBoxedSingle() { return boxedSingle; }
    public void setBoxedSingle(Float boxedSingle) { this.boxedSingle = boxedSingle; }
    public Double getBoxedReal() { return boxedReal; }
    public void setBoxedReal(Double boxedReal) { this.boxedReal = boxedReal; }
    public Character getBoxedLetter() { return boxedLetter; }
    public void setBoxedLetter(Character boxedLetter) { this.boxedLetter = boxedLetter; }
    public String getText() { return text; }
    public void setText(String text) { this.text = text; }
    public byte[] getBytes() { return bytes; }
    public void setBytes(byte[] bytes) { this.bytes = bytes; }
    public Date getDate() { return date; }
    public void setDate(Date date) { this.date = date; }
    public BigDecimal getDecimal() { return decimal; }
    public void setDecimal(BigDecimal decimal) { this.decimal = decimal; }
    public BigInteger getInteger() { return integer; }
    public void setInteger(BigInteger integer) { this.integer = integer; }
    public Color getColor() { return color; }
    public void setColor(Color color) { this.color = color; }
    public LocalDate getLocalDate() { return localDate; }
    public void setLocalDate(LocalDate localDate) { this.localDate = localDate; }
    public LocalTime getLocalTime() { return localTime; }
    public void setLocalTime(LocalTime localTime) { this.localTime = localTime; }
    public LocalDateTime getLocalDateTime() { return localDateTime; }
    public void setLocalDateTime(LocalDateTime localDateTime) { this.localDateTime = localDateTime; }
    public List<Long> getLongs() { return longs; }
    public void setLongs(List<Long> longs) { this.longs = longs; }
    public Set<String> getWords() { return words; }
    public void setWords(Set<String> words) { this.words = words; }
    public Map<Long, String> getNames() { return names; }
    public void setNames(Map<Long, String> names) { this.names = names; }
    public Map<String, List<Integer>> getLists() { return lists; }
    public void setLists(Map<String, List<Integer>> lists) { this.lists = lists; }
    public Map<Color, BigDecimal> getPrices() { return prices; }
    public void setPrices(Map<Color, BigDecimal> prices) { this.prices = prices; }
    public int[] getInts() { return ints; }
    public void setInts(int[] ints) { this.ints = ints; }
    public long[] getLongArray() { return longArray; }
    public void setLongArray(long[] longArray) { this.longArray = longArray; }
    public double[] getDoubles() { return doubles; }
    public void setDoubles(double[] doubles) { this.doubles = doubles; }
    public String[] getStrings() { return strings; }
    public void setStrings(String[] strings) { this.strings = strings; }
    public Color[] getColors() { return colors; }
    public void setColors(Color[] colors) { this.colors = colors; }
    public int[][] getGrid() { return grid; }
    public void setGrid(int[][] grid) { this.grid = grid; }
    public Person getPerson() { return person; }
    public void setPerson(Person person) { this.person = person; }
    public List<Person> getPeople() { return people; }
    public void setPeople(List<Person> people) { this.people = people; }
    public Map<String, Person> getByName() { return byName; }
    public void setByName(Map<String, Person> byName) { this.byName = byName; }
    public Person[] getStaff() { return staff; }
    public void setStaff(Person[] staff) { this.staff = staff; }
    public Box<String> getBox() { return box; }
    public void setBox(Box<String> box) { this.box = box; }
    public Object getAnything() { return anything; }
    public void setAnything(Object anything) { this.anything = anything; }
}
