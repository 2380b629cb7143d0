package pontoon.peer;

import java.io.Serializable;
import java.util.List;

/** Refers to itself: a friend's friends may hold the person. */
public class Person implements Serializable {
    private static final long serialVersionUID = 1;
    private long id;
    private String name;
    private Color favourite;
    private Person parent;
    private List<Person> friends;

    public long getId() { return id; }
    public void setId(long id) { this.id = id; }
    public String getName() { return name; }
    public void setName(String name) { this.name = name; }
    public Color getFavourite() { return favourite; }
    public void setFavourite(Color favourite) { this.favourite = favourite; }
    public Person getParent() { return parent; }
    public void setParent(Person parent) { this.parent = parent; }
    public List<Person> getFriends() { return friends; }
    public void setFriends(List<Person> friends) { this.friends = friends; }
}
